"""Lines that all reports for people share."""

from __future__ import annotations

import pytest

from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.reports.phrases import (
    evidence_line,
    figure_rows,
    headline,
    setting,
    short_frame,
)
from tests.builders import (
    GIB,
    empty_run,
    make_finding,
    make_host,
    make_launch,
    make_load,
    make_run,
    make_samples,
    make_scenario,
    two_workers,
    upload_run,
    with_failures,
)
from tests.reports.screens import analyzed


def found(name: str, kind: Kind) -> Finding:
    """A finding that was found."""
    return make_finding(name, Verdict.FOUND, kind)


class TestHeadline:
    """The verdict in one line: validity, causes, symptoms."""

    @pytest.mark.parametrize(
        ("findings", "line"),
        [
            pytest.param([], "nothing found", id="nothing"),
            pytest.param(
                [make_finding("a", Verdict.UNKNOWN), make_finding("b", Verdict.CLEAR)],
                "nothing found",
                id="unknown and clear",
            ),
            pytest.param([found("a", Kind.SYMPTOM)], "symptom: a", id="symptom"),
            pytest.param(
                [found("s", Kind.SYMPTOM), found("a", Kind.CAUSE), found("b", Kind.CAUSE)],
                "cause: a, b; symptom: s",
                id="causes first",
            ),
            pytest.param(
                [found("a", Kind.CAUSE), found("v", Kind.VALIDITY)],
                "cause: a; the measurement is not valid: v (what was found does not rest on it)",
                id="validity after all",
            ),
            pytest.param(
                [found("v", Kind.VALIDITY)],
                "the measurement is not valid: v",
                id="validity alone",
            ),
        ],
    )
    def test_of_findings(self, findings: list[Finding], line: str) -> None:
        assert headline(analyzed(make_run(), findings)) == line

    def test_of_a_partial_run(self) -> None:
        item = analyzed(make_run(state="interrupted"), [found("a", Kind.CAUSE)])
        assert headline(item) == "partial run (interrupted): cause: a"


class TestSetting:
    """What was measured, on what."""

    def test_of_a_plain_run(self) -> None:
        assert setting(analyzed(make_run())) == (
            "baseline, 64 connections, 5.0 s; my-server (2 x cpython) on 2 of 4 cores, split"
        )

    def test_of_pipelined_requests_on_a_shared_machine(self) -> None:
        run = make_run(
            scenario=make_scenario(pipeline=16, requests_per_connection=10),
            host=make_host(2, mode="shared"),
            launch=make_launch(runtimes={}),
        )
        assert setting(analyzed(run)) == (
            "baseline, 64 connections, pipeline 16, 10 requests per connection, 5.0 s; "
            "my-server on 2 of 2 cores, shared"
        )

    def test_the_commonest_runtimes_come_first(self) -> None:
        runtimes = {1: "go", 2: "cpython", 3: "cpython", 4: "nginx", 5: "jvm"}
        line = setting(analyzed(make_run(launch=make_launch(runtimes=runtimes))))
        assert "(2 x cpython, go, nginx)" in line


class TestFigureRows:
    """The figures of one screen."""

    def test_of_a_whole_run(self) -> None:
        rows = dict(figure_rows(analyzed(make_run())))
        assert list(rows) == [
            "throughput",
            "latency",
            "CPU",
            "memory",
            "connections",
            "failures",
        ]
        assert rows["CPU"] == "server 1.90 cores, load generator 0.30, idle 0.06"
        assert rows["memory"] == (
            "192.0 MiB before load, peak 192.0 MiB (RSS with file pages 216.0 MiB)"
        )
        assert rows["connections"] == (
            "64 of 64 at the end, 0 reconnects, 78.1 responses per connection"
        )
        assert rows["failures"] == "0"

    def test_other_programs_are_named_from_a_tenth_of_a_core(self) -> None:
        samples = make_samples(two_workers(0.95), host_busy=(0.98, 0.98, 0.2, 0.1))
        assert "other programs" not in dict(figure_rows(analyzed(make_run(samples=samples))))["CPU"]

    def test_failures_are_told_apart(self) -> None:
        load = with_failures({"refused": 2, "closed_before_response": 1500}, unanswered=3)
        rows = dict(figure_rows(analyzed(make_run(load=load))))
        assert rows["failures"] == (
            "1,502 (closed before response 1,500, refused 2), 3 not answered"
        )

    def test_bandwidth_is_shown_for_large_bodies_only(self) -> None:
        load = make_load(body_answered=10 * GIB, bytes_sent=11 * GIB)
        uploads = dict(figure_rows(analyzed(upload_run(load=load))))["throughput"]
        assert uploads.endswith("; bodies answered 2.0 GiB/s, sent 2.2 GiB/s")
        assert "bodies" not in dict(figure_rows(analyzed(make_run(load=load))))["throughput"]

    def test_what_was_not_measured_is_left_out(self) -> None:
        rows = dict(figure_rows(analyzed(empty_run())))
        assert "CPU" not in rows
        assert "memory" not in rows
        assert rows["latency"] == "nothing was answered"


@pytest.mark.parametrize(
    ("frame", "short"),
    [
        ("handle (/srv/app/views.py:12)", "handle (views.py:12)"),
        ("handle (views.py:12)", "handle (views.py:12)"),
        ("tcp_sendmsg", "tcp_sendmsg"),
        ("f (/a (b)/c.py:1)", "f (c.py:1)"),
        ("x" * 48, "x" * 48),
        ("x" * 49, "..." + "x" * 45),
    ],
    ids=["path", "name", "native", "parentheses", "fits", "long"],
)
def test_short_frames_fit(frame: str, short: str) -> None:
    assert short_frame(frame) == short
    assert len(short) <= 48


def test_evidence_line_shows_the_first_figures_with_their_limits() -> None:
    rows = (
        Evidence("growth", 2 * GIB, "bytes", GIB, "samples.jsonl"),
        Evidence("idle", 0.5, "cores", None, "samples.jsonl"),
        Evidence("log", "text", "", None, "server.log"),
        Evidence("fourth", 4, "requests", None, "load.json"),
    )
    line = evidence_line(make_finding(evidence=rows))
    assert line == "growth 2.0 GiB (limit 1.0 GiB), idle 0.50 cores, log text"
    assert evidence_line(make_finding(evidence=rows), limit=4).endswith("fourth 4 requests")
    assert evidence_line(make_finding(evidence=())) == ""
