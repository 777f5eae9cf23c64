"""`diagnose doctor`: what would spoil a measurement on this host."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec
import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from diagnose.cli.console import errors_to, results_to
from diagnose.plain import printable
from diagnose.server.doctor import WATCH_S, Check, Outcome, gather, judge, spoiled

SCHEMA = 1
SPOILED_STATUS = 4
STYLES = {
    Outcome.OK: "green",
    Outcome.WARN: "yellow",
    Outcome.BAD: "bold red",
    Outcome.UNKNOWN: "dim",
}


def doctor(
    quick: bool = typer.Option(
        False, "--quick", help="Do not watch the host for a second: other load stays unknown."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print as JSON."),
) -> None:
    """Check this host: what would spoil a measurement, and the exact command that mends it.

    Nothing is changed. A child of diagnose is profiled for a moment to see what profilers may do.
    Exit status 0: nothing is bad; 4: a measurement here would be spoiled.
    """
    if not quick and not as_json and errors_to.is_terminal:
        errors_to.print(Text(f"watching the host for {WATCH_S:g} s ...", style="dim"))
    checks = judge(gather(0.0 if quick else WATCH_S))
    if as_json:
        sys.stdout.write(_document(checks) + "\n")
    else:
        _show(checks)
    if spoiled(checks):
        raise typer.Exit(SPOILED_STATUS)


def _document(checks: Sequence[Check]) -> str:
    whole = {"schema": SCHEMA, "spoiled": spoiled(checks), "checks": checks}
    text: str = msgspec.json.format(msgspec.json.encode(whole), indent=2).decode()
    return text


def _show(checks: Sequence[Check]) -> None:
    """The table, what is wrong with its remedy, and the verdict."""
    table = Table.grid(padding=(0, 2))
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column()
    for check in checks:
        table.add_row(
            Text(check.outcome.value, style=STYLES[check.outcome]),
            Text(check.name),
            Text(_line(check.value)),
        )
    results_to.print(table)
    wrong = [check for check in checks if check.outcome in (Outcome.BAD, Outcome.WARN)]
    for check in sorted(wrong, key=lambda check: check.outcome is not Outcome.BAD):
        title = Text(f"\n{check.outcome.value} ", style=STYLES[check.outcome])
        results_to.print(title.append(check.name, style="bold"))
        results_to.print(Padding(Text(_line(check.why)), (0, 0, 0, 2), expand=False))
        if check.remedy:
            # Whole on a line, however narrow the terminal is: it is there to be copied.
            results_to.print(Text(f"  $ {_line(check.remedy)}", style="bold"), soft_wrap=True)
    results_to.print(_verdict(checks, wrong))


def _verdict(checks: Sequence[Check], wrong: Sequence[Check]) -> Text:
    bad = [check.name for check in wrong if check.outcome is Outcome.BAD]
    warned = len(wrong) - len(bad)
    unknown = sum(check.outcome is Outcome.UNKNOWN for check in checks)
    rest = f"{_count(warned, 'warning')}, {unknown} unknown"
    if any(check.remedy for check in wrong):
        rest += "; commands that change settings are for root"
    if bad:
        text = f"\nVERDICT  a measurement here would be spoiled: {', '.join(bad)}; {rest}"
        return Text(text, style="bold red")
    return Text(f"\nVERDICT  nothing here spoils a measurement; {rest}", style="bold green")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _line(text: str) -> str:
    """Names of processes and words of programs are not ours: one line, nothing for a terminal."""
    return printable(" ".join(text.split()))
