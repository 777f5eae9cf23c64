"""Pages that are made when the site is built: one for each finding, from its advice page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ADVICE = Path(__file__).parents[1] / "diagnose" / "analysis" / "advice"
FOLDER = "findings"


def titles() -> dict[str, str]:
    """The first line of each advice page, by finding."""
    found = {}
    for path in sorted(ADVICE.glob("*.md")):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        found[path.stem] = first.removeprefix("# ")
    return found


def overview() -> str:
    """The list of all findings, with links."""
    lines = [
        "# Findings",
        "",
        "What each means, how it was seen, how to confirm it by hand, and the remedy for each "
        "runtime. `diagnose findings ID` prints the same.",
        "",
    ]
    for name, title in titles().items():
        lines.append(f"- [{name}]({FOLDER}/{name}.md):{title.removeprefix(name).lstrip(':')}")
    return "\n".join(lines) + "\n"


def on_files(files: Any, config: Any) -> Any:
    """mkdocs asks for this when it has collected the files of docs/."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "findings.md", content=overview()))
    for name in titles():
        text = (ADVICE / f"{name}.md").read_text(encoding="utf-8")
        files.append(File.generated(config, f"{FOLDER}/{name}.md", content=text))
    return files
