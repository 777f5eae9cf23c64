"""How profiles were taken, what is missing in them, and what they cost."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from diagnose.analysis.slowdown import profiled_share
from diagnose.model.profile import Profile, ProfileNote
from diagnose.model.run import Run
from diagnose.reports import html, markdown, terminal
from diagnose.reports.profiled import document, slowdown, taken
from tests.builders import make_load, make_profile, make_run
from tests.reports.screens import analyzed

PERF = ProfileNote(
    "perf", 7, "native", 99, 990, 10, "perf-7.folded", remark="by debug information", truncated=50
)
SPY = ProfileNote("py_spy", 8, "cpython", 17, 486, 0, "py_spy-8.folded")
FAILED = ProfileNote("perf", 9, "native", 0, 12, 0, "", "only 12 samples: the process was idle")


def profiled(*notes: ProfileNote, rps: float | None = 900.0, ok: int = 5000) -> Run:
    """A run of 1,000 right responses a second, and these profiles."""
    run = make_run(load=make_load(responses=ok, ok=ok), profiles=(make_profile(),))
    return replace(run, manifest=replace(run.manifest, profiles=notes, profiled_rps=rps))


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        pytest.param([SPY], ["py_spy at 17 Hz, 486 samples"], id="whole"),
        pytest.param(
            [PERF],
            ["perf at 99 Hz, 990 samples, 1.0% lost, 5.1% without root; by debug information"],
            id="lost and truncated",
        ),
        pytest.param(
            [SPY, replace(SPY, pid=9, samples=514, errors=1)],
            ["py_spy at 17 Hz, 1,000 samples, 0.1% lost (2 processes)"],
            id="alike",
        ),
        pytest.param(
            [SPY, replace(SPY, pid=9, rate_hz=49)],
            ["py_spy at 17 Hz, 486 samples", "py_spy at 49 Hz, 486 samples"],
            id="at another rate",
        ),
        pytest.param(
            [replace(PERF, errors=0, truncated=0, remark="")],
            ["perf at 99 Hz, 990 samples"],
            id="nothing missing",
        ),
        pytest.param([FAILED], [], id="none"),
    ],
)
def test_how_a_profile_was_taken(notes: list[ProfileNote], said: list[str]) -> None:
    assert taken(notes) == said


@pytest.mark.parametrize(
    ("run", "share"),
    [
        pytest.param(profiled(SPY), 0.9, id="known"),
        pytest.param(profiled(SPY, rps=1100.0), 1.1, id="by chance faster"),
        pytest.param(profiled(SPY, rps=None), None, id="no second load"),
        pytest.param(profiled(FAILED), None, id="no profile"),
        pytest.param(profiled(SPY, ok=99), None, id="too few responses"),
        pytest.param(replace(profiled(SPY), load=None), None, id="no load"),
    ],
)
def test_what_profiling_cost(run: Run, share: float | None) -> None:
    assert profiled_share(run) == (None if share is None else pytest.approx(share))
    assert document(run)["throughput_share"] == profiled_share(run)


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    assert slowdown(profiled(SPY)) == "throughput 0.90 of that without"
    assert slowdown(profiled(SPY, ok=99)) == ("what profiling cost is unknown: too few responses")
    assert slowdown(profiled(FAILED)) == ""


def test_other_programs_get_shares_and_null() -> None:
    first, second, third = document(profiled(PERF, SPY, FAILED))["profiles"]
    assert (first["lost_share"], first["truncated_share"]) == (0.01, 50 / 990)
    assert (first["file"], first["remark"]) == ("profiles/perf-7.folded", "by debug information")
    assert (second["lost_share"], second["truncated_share"]) == (0.0, None)
    assert (third["file"], third["samples"]) == ("", 12)
    assert third["remedy"].startswith("only 12 samples")
    empty = document(profiled(replace(FAILED, samples=0, truncated=0)))["profiles"][0]
    assert (empty["lost_share"], empty["truncated_share"]) == (None, None)


def test_every_report_tells_of_it() -> None:
    run = profiled(PERF)
    run = replace(run, profiles=(Profile(PERF, make_profile().stacks),))
    item = analyzed(run, ())
    how = "perf at 99 Hz, 990 samples, 1.0% lost, 5.1% without root; by debug information"
    screen = io.StringIO()
    Console(file=screen, width=200).print(terminal.render([item]))
    page = html.render(item).decode()
    for text in (screen.getvalue(), markdown.render([item]), page):
        assert how in text.replace("\\", "").replace("Perf at", "perf at")
        assert "throughput 0.90 of that without" in text


def test_few_samples_are_never_a_graph() -> None:
    run = replace(profiled(FAILED), profiles=())
    item = analyzed(run, ())
    screen = io.StringIO()
    Console(file=screen, width=200).print(terminal.render([item]))
    assert "only 12 samples: the process was idle" in screen.getvalue()
    assert "hot, PID" not in screen.getvalue()
    assert "Hottest frames" not in markdown.render([item])
    page = html.render(item).decode()
    assert 'id="flame-plot"' not in page
    assert "only 12 samples: the process was idle" in page
