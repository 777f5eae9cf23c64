"""The comment below a pull request: the benchmark's table, changes, findings in a line each."""

from __future__ import annotations

from dataclasses import replace

from diagnose.model.finding import Kind, Verdict
from diagnose.reports.pr_comment import HEAD, render
from tests.analysis.test_repeats import at
from tests.builders import empty_run, make_finding, make_run
from tests.reports.screens import MARKDOWN, analyzed, everywhere


def rows(text: str) -> list[list[str]]:
    """The cells of the table's rows."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_a_run_alone() -> None:
    text = render([at(5000)])
    assert HEAD[0] in text
    assert rows(text) == [["baseline", "64", "1,000", "190%", "192.0 MiB", "-", "-"]]
    assert "Nothing found." in text
    assert "diagnose run baseline -c 64" in text
    assert "spread" not in text


def test_changes_are_from_the_same_test() -> None:
    against = [at(4000), at(9000, connections=512)]
    text = render([at(5000), at(5000, connections=1024)], against)
    assert [row[5:] for row in rows(text)] == [["+25.0%", "+0.0%"], ["-", "-"]]
    assert "One run a side: small changes may be noise." in text


def test_a_change_within_the_spread_says_so() -> None:
    text = render([at(5000), at(5500)], [at(5400), at(5450)])
    assert rows(text)[0][5] == "+0.9% (within the spread)"
    assert "The best of 2 runs; they differ by up to 9.5% of the median." in text


def test_a_change_beyond_the_spread_is_plain() -> None:
    assert rows(render([at(6000), at(6060)], [at(5000), at(5050)]))[0][5] == "+20.0%"


def test_figures_that_are_not_to_be_quoted_say_so() -> None:
    assert rows(render([at(5000, valid=False)]))[0][2] == "1,000 (not valid)"


def test_findings_have_a_line_each() -> None:
    found = [
        make_finding("body_buffered", kind=Kind.CAUSE, claim="memory grew"),
        make_finding("errors", Verdict.CLEAR),
    ]
    text = render([analyzed(make_run(), found)])
    assert "- `body_buffered` (cause; baseline, 64 connections): memory grew" in text
    assert "errors" not in text


def test_a_server_writes_no_markup_and_calls_nobody() -> None:
    text = render([everywhere(f"{MARKDOWN} @somebody </details>")])
    assert "@somebody" not in text.split("<details>")[0]
    assert "<img" not in text.split("<details>")[0].replace("\\<img", "")
    assert text.count("\n</details>") == 1


def test_a_scenario_keeps_its_name() -> None:
    item = at(5000)
    scenario = replace(item.run.manifest.scenario, name="baseline@2026-04")
    run = replace(item.run, manifest=replace(item.run.manifest, scenario=scenario))
    assert rows(render([replace(item, run=run)]))[0][0] == "baseline@2026-04"


def test_nothing_measured() -> None:
    text = render([analyzed(empty_run())], [analyzed(empty_run())])
    assert rows(text)[0][2:] == ["0 (not valid)", "-", "-", "-", "-"]
