"""The screen: what is on it, that it fits, and that quoted text stays text."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from diagnose.model.finding import Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.model.run import ServerEnd
from diagnose.reports.terminal import render
from tests.builders import (
    MIB,
    empty_run,
    ended,
    make_finding,
    make_profile,
    make_run,
    make_samples,
    one_thread,
    upload_run,
)
from tests.reports.screens import ESCAPES, MARKUP, analyzed, everywhere


def shown(*items: Analyzed, width: int = 80, color: bool = False) -> str:
    """What a terminal of that width gets."""
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="truecolor" if color else None,
        legacy_windows=False,
    )
    console.print(render(items))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def words(text: str) -> str:
    """Without the line breaks of the layout."""
    return " ".join(text.split())


class TestContent:
    """One screen: figures, verdict, findings, what is not known."""

    def test_of_a_healthy_run(self) -> None:
        text = words(shown(analyzed(make_run())))
        assert text.startswith("baseline, 64 connections, 5.0 s; my-server (2 x cpython)")
        assert "1,000 right responses/s (5,000 responses)" in text
        assert "p50 62.00 ms, p90 80.00 ms, p99 100.00 ms, p99.9 120.00 ms, max 200.00 ms" in text
        assert "server 1.90 cores" in text
        assert "VERDICT nothing found" in text
        assert "FOUND" not in text
        assert "run directory: runs/" in text

    def test_of_a_single_thread(self) -> None:
        samples = make_samples(one_thread(), host_busy=(0.98, 0.05, 0.16, 0.16))
        text = words(shown(analyzed(make_run(samples=samples))))
        assert "VERDICT cause: single_threaded; symptom: low_cpu" in text
        assert "FOUND single_threaded (cause)" in text
        assert "top_thread_busy 0.97 cores (limit 0.90 cores)" in text
        assert "next: start one worker process or thread per core" in text
        assert text.index("FOUND single_threaded") < text.index("FOUND low_cpu")

    @pytest.mark.parametrize(
        ("by", "said"),
        [
            (("gil_bound", "pool_exhausted"), "explained by gil_bound, pool_exhausted"),
            ((), "nothing found explains it"),
        ],
    )
    def test_a_symptom_says_what_explains_it(self, by: tuple[str, ...], said: str) -> None:
        symptom = make_finding("low_cpu", kind=Kind.SYMPTOM, explained_by=by)
        assert said in words(shown(analyzed(make_run(), [symptom])))

    def test_a_cause_is_not_asked_for_its_cause(self) -> None:
        assert "explain" not in shown(analyzed(make_run(), [make_finding()]))

    def test_unknown_says_why_and_clear_is_listed(self) -> None:
        item = analyzed(
            make_run(),
            [
                make_finding("hung", Verdict.UNKNOWN, Kind.SYMPTOM, claim="why not"),
                make_finding("errors", Verdict.CLEAR, Kind.SYMPTOM),
                make_finding("crashed", Verdict.CLEAR, Kind.SYMPTOM),
            ],
        )
        text = words(shown(item))
        assert "unknown hung why not" in text
        assert "clear errors, crashed" in text

    def test_many_that_are_clear_are_counted(self) -> None:
        clear = [make_finding(f"cause_{n}", Verdict.CLEAR) for n in range(12)]
        symptom = make_finding("errors", Verdict.CLEAR, Kind.SYMPTOM)
        unknown = make_finding("hung", Verdict.UNKNOWN, Kind.SYMPTOM)
        assert "cause_11" in shown(analyzed(make_run(), clear))
        text = words(shown(analyzed(make_run(), [*clear, symptom, unknown])))
        counts = "clear 0 of 0 validity checks, 1 of 2 symptoms, 12 of 12 causes"
        assert f"{counts} (named in the report)" in text
        assert "cause_11" not in text

    def test_uploads_show_their_bandwidth_and_memory(self) -> None:
        text = words(shown(analyzed(upload_run(growth=900 * MIB))))
        assert "bodies answered" in text
        assert "64.0 MiB before load, peak 964.0 MiB" in text

    def test_a_dead_server_shows_the_end_of_its_log(self) -> None:
        log = [f"line {number}" for number in range(20)]
        text = shown(analyzed(make_run(end=ended(1, "window", *log))))
        assert [line.strip() for line in text.splitlines() if "  | " in line] == [
            f"| line {number}" for number in range(14, 20)
        ]

    @pytest.mark.parametrize(
        "name", ["crashed", "hung", "errors", "connections_missing", "low_cpu"]
    )
    def test_the_log_is_shown_where_it_may_tell_why(self, name: str) -> None:
        run = make_run(end=ServerEnd(log_tail=("too many open files",)))
        told = "too many open files" in shown(analyzed(run, [make_finding(name)]))
        assert told == (name != "low_cpu")

    def test_a_server_that_was_stopped_shows_no_log(self) -> None:
        run = make_run(end=ServerEnd(log_tail=("bye",)))
        assert "bye" not in shown(analyzed(run))

    def test_hot_frames_are_shown_short(self) -> None:
        run = make_run(profiles=(make_profile({"a;handle (/srv/very/long/app.py:20)": 9, "b": 1}),))
        assert "hot, PID 5001 handle (app.py:20) 90%, b 10%" in words(shown(analyzed(run)))

    @pytest.mark.parametrize(
        ("state", "how"),
        [("interrupted", "interrupted"), ("failed", "failed"), ("running", "it was killed")],
    )
    def test_a_partial_run_says_so(self, state: str, how: str) -> None:
        text = words(shown(analyzed(make_run(state=state))))
        assert f"VERDICT partial run ({how}): nothing found" in text

    def test_several_runs_stand_below_each_other(self) -> None:
        text = shown(analyzed(make_run()), analyzed(make_run(connections=512)))
        assert text.count("VERDICT") == 2
        assert text.index("64 connections") < text.index("512 connections")

    def test_no_runs_are_nothing(self) -> None:
        assert shown().strip() == ""

    def test_an_empty_run_has_a_screen(self) -> None:
        text = words(shown(analyzed(empty_run())))
        assert "nothing was answered" in text
        assert "VERDICT partial run (it was killed): the measurement is not valid" in text
        assert "None" not in text
        assert "nan" not in text


def test_how_often_a_rule_was_right_stands_beside_its_name() -> None:
    said = "right in 27 of 28 selftest runs that found it (2 cores, 2026-11-25)"
    item = analyzed(make_run(), [replace(make_finding("low_cpu"), measured=said)])
    assert any(
        line.startswith("FOUND low_cpu") and "right in 27 of 28 selftest runs that found it" in line
        for line in shown(item).splitlines()
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    text = shown(everywhere("word " * 60), width=width)
    assert max(len(line) for line in text.splitlines()) <= width


def test_a_verdict_fits_on_one_screen() -> None:
    samples = make_samples(one_thread(), host_busy=(0.98, 0.05, 0.16, 0.16))
    assert len(shown(analyzed(make_run(samples=samples))).splitlines()) <= 40


@pytest.mark.parametrize(
    "place",
    ["name", "runtime", "found", "next", "evidence", "limit", "unknown", "note", "log", "remedy"],
)
def test_markup_is_shown_and_not_obeyed(place: str) -> None:
    text = words(shown(everywhere(MARKUP), width=200, color=False))
    assert f"{place} {MARKUP}" in text


def test_markup_in_frames_is_shown() -> None:
    assert "frame [bold]x[/bold]" in words(shown(everywhere("[bold]x[/bold]"), width=200))


def test_markup_in_thread_names_is_shown() -> None:
    (process,) = one_thread()
    threads = (replace(process.threads[0], name="[red]main"), *process.threads[1:])
    samples = make_samples((replace(process, threads=threads),))
    assert "'[red]main'" in words(shown(analyzed(make_run(samples=samples)), width=200))


def test_escape_codes_do_not_reach_the_terminal() -> None:
    text = shown(everywhere(ESCAPES), width=200)
    assert "\x1b" not in text
    assert "\x9b" not in text


def test_a_terminal_gets_colors_of_ours() -> None:
    """The test above would pass for nothing if the console never wrote escapes."""
    assert "\x1b[" in shown(analyzed(make_run()), color=True)
