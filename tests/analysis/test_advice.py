"""Every rule has a page of advice, and every page a rule."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from diagnose.analysis.engine import rules

SECTIONS = (
    "What it means",
    "How it was seen",
    "Confirm by hand",
    "What to do",
    "When it may be wrong",
)
PAGES = resources.files("diagnose.analysis") / "advice"


def headings(text: str) -> list[str]:
    """The headings of a Markdown text, code blocks left out."""
    prose = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return [match[1].strip() for match in re.finditer(r"^#+ (.+)$", prose, flags=re.MULTILINE)]


@pytest.mark.parametrize("name", sorted(rules()))
def test_every_rule_has_a_page_with_all_sections(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith("# "), "the first line is the title: `diagnose findings` prints it first"
    found = [heading for heading in headings(text) if heading in SECTIONS]
    assert found == list(SECTIONS)
    for section in SECTIONS:
        body = re.search(rf"^#+ {section}\s*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        assert body is not None, section
        assert len(body[1].split()) >= 5, f"{section} says nothing"


def test_every_page_belongs_to_a_rule() -> None:
    pages = {page.name.removesuffix(".md") for page in PAGES.iterdir() if page.name.endswith(".md")}
    assert pages <= set(rules())


def test_headings_in_code_are_not_headings() -> None:
    assert headings("# a\n```sh\n# What to do\n```\n## b\n") == ["a", "b"]


@pytest.mark.parametrize("name", sorted(rules()))
def test_every_figure_that_is_shown_is_explained(name: str) -> None:
    """Evidence that a rule gives under a name of its own stands on its page."""
    source = (PAGES.parent / "rules" / f"{name}.py").read_text(encoding="utf-8")
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    shown = set(re.findall(r'Evidence\(\s*"(\w+)"', source))
    assert {metric for metric in shown if metric not in text} == set()
