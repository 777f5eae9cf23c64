"""Runs over time."""

from __future__ import annotations

from rich.console import Console

from diagnose.model.report import Analyzed
from diagnose.reports import history
from tests.builders import make_finding, make_launch, make_run

OLD = Analyzed(
    make_run(created="2026-04-01T12:00:00+00:00", directory="runs/a"),
    {"rps": 1000.0, "peak_rss_bytes": 100 * 2**20},
    (make_finding("single_threaded"),),
)
NEW = Analyzed(
    make_run(created="2026-04-02T12:00:00+00:00", directory="runs/b"),
    {"rps": 1100.0, "peak_rss_bytes": None},
    (),
)
OTHER = Analyzed(
    make_run(created="2026-04-03T12:00:00+00:00", launch=make_launch(name="_odd $x$ [b]")),
    {"rps": 0.0, "peak_rss_bytes": 2**20},
    (),
)


def test_the_newest_is_last_and_changes_are_within_a_series() -> None:
    console = Console(width=120, record=True)
    with console.capture() as captured:
        console.print(history.table([NEW, OTHER, OLD]))
    lines = [line for line in captured.get().splitlines() if "2026-04" in line]
    assert "single_threaded" in lines[0]
    assert "+10%" in lines[1]
    assert "_odd $x$ [b]" in lines[2]
    assert "%" not in lines[2]


def test_the_document_has_the_oldest_first() -> None:
    runs = history.document([NEW, OLD])["runs"]
    assert [run["run"] for run in runs] == ["runs/a", "runs/b"]
    assert runs[0]["found"] == ["single_threaded"]
    assert runs[1]["peak_rss_bytes"] is None


def test_a_picture_of_any_runs() -> None:
    assert history.picture([NEW, OTHER, OLD]).startswith(b"\x89PNG")
