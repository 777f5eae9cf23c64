"""`diagnose findings`: what the rules are, and the advice page of one."""

from __future__ import annotations

import inspect
import sys
from importlib import resources

import msgspec
import typer
from rich.markdown import Markdown
from rich.table import Table

from diagnose.analysis.engine import rules
from diagnose.cli.console import results_to
from diagnose.cli.options import check_names


def findings(
    finding: str | None = typer.Argument(None, metavar="[ID]", help="One finding: its page."),
    as_json: bool = typer.Option(False, "--json", help="Print as JSON."),
) -> None:
    """List the findings that diagnose can come to, or explain one."""
    known = rules()
    if finding is not None:
        check_names([finding], list(known), "finding")
    rows = [
        {
            "id": name,
            "kind": module.KIND.value,
            "question": (inspect.getdoc(module) or "").splitlines()[0],
            "page": explanation(name) if finding else "",
        }
        for name, module in known.items()
        if finding in (None, name)
    ]
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() + "\n")
    elif finding is not None:
        results_to.print(Markdown(rows[0]["page"]))
    else:
        table = Table(box=None)
        table.add_column("id", no_wrap=True)
        table.add_column("kind", no_wrap=True)
        table.add_column("what it says")
        for row in sorted(rows, key=lambda row: (row["kind"], row["id"])):
            table.add_row(row["id"], row["kind"], row["question"])
        results_to.print(table)


def explanation(name: str) -> str:
    """The rule's own docstring and its advice page, as Markdown."""
    module = rules()[name]
    text = inspect.getdoc(module) or ""
    page = resources.files("diagnose.analysis") / "advice" / f"{name}.md"
    advice = page.read_text(encoding="utf-8") if page.is_file() else ""
    title, _, rest = advice.partition("\n")
    return f"{title}\n\n{text}\n{rest}"
