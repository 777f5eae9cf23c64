"""What the documentation says can be done: its commands exist, its pages are in the site."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml  # type: ignore[import-untyped]

from diagnose.analysis.engine import rules
from diagnose.cli.app import app

HOME = Path(__file__).parents[1]
PAGES = [HOME / "README.md", *sorted((HOME / "docs").glob("*.md"))]
_FENCED = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(diagnose [^`\n]+)`")
_PLACEHOLDER = re.compile(r"\[[^\]]*\]|\b[A-Z]{3,}\b")


def commands_of(page: Path) -> list[str]:
    """Lines that begin with `diagnose`, in code that is indented or fenced, and in code spans."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = [match[1] for match in _FENCED.finditer(text)]
    blocks += [line for line in text.splitlines() if line.startswith("    ")]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    found = [line.removeprefix("$ ") for line in lines]
    found += [match[1] for match in _INLINE.finditer(text)]
    return [line for line in dict.fromkeys(found) if line.startswith("diagnose ")]


ALL = [(page.name, line) for page in PAGES for line in commands_of(page)]


@pytest.mark.parametrize(("page", "line"), ALL)
def test_every_command_is_one(page: str, line: str) -> None:
    """The command exists, and has each option that the line names."""
    words = shlex.split(line.partition(" #")[0].replace("...", ""), posix=True)
    group: Any = typer.main.get_command(app)
    rest = words[1:]
    if rest[0].startswith("-"):
        return
    command = group.commands.get(rest[0])
    assert command is not None, f"{page}: no command {rest[0]}"
    known = {name for option in command.params for name in option.opts + option.secondary_opts}
    for word in rest[1:]:
        if word == "--":
            break
        option = word.lstrip("[(").partition("=")[0].rstrip("],)")
        if re.fullmatch(r"--?[a-z][a-z-]*", option):
            assert option in {*known, "--help"}, f"{page}: {rest[0]} has no {option}"


def test_there_are_many() -> None:
    assert len(ALL) > 60
    assert {"README.md", "investigate.md", "compare.md", "bundle.md", "ci.md", "index.md"} <= {
        page for page, _ in ALL
    }


def test_every_page_is_in_the_site() -> None:
    site = yaml.safe_load((HOME / "mkdocs.yml").read_text())

    def files(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        parts = entry.values() if isinstance(entry, dict) else entry
        assert not isinstance(parts, str)
        return [name for part in parts for name in files(part)]  # type: ignore[attr-defined]

    named = set(files(site["nav"]))
    assert named - {"findings.md"} == {page.name for page in PAGES[1:]}


def test_every_finding_has_a_page_in_the_site() -> None:
    space: dict[str, object] = {"__file__": str(HOME / "docs" / "_hooks.py")}
    exec((HOME / "docs" / "_hooks.py").read_text(), space)
    titles = space["titles"]
    assert callable(titles)
    assert set(titles()) == set(rules())


def test_the_workflow_is_one() -> None:
    """The YAML of docs/ci.md, with the commands that it runs."""
    (block,) = re.findall(r"```yaml\n(.*?)```", (HOME / "docs" / "ci.md").read_text(), re.DOTALL)
    flow = yaml.safe_load(block)
    steps = flow["jobs"]["diagnose"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    assert sum("diagnose run" in run for run in runs) == 2
    assert sum("diagnose compare" in run for run in runs) == 1
    for run in runs:
        if run.startswith("diagnose "):
            test_every_command_is_one("ci.md", run.replace("\n", " "))
