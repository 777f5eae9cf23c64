"""fd_exhausted: descriptors against their limit, and what failed for want of more."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from diagnose.analysis.rules.fd_exhausted import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.builders import (
    SERVER_PID,
    ended,
    evidence_of,
    make_launch,
    make_load,
    make_run,
    make_samples,
    make_ticks,
    one_thread,
    with_failures,
)

EMFILE = "accept: Too many open files"


def server(descriptors: int = 70, limit: int | None = 1024, **changes: Any) -> Run:
    """A server with so many descriptors under load."""
    samples = [
        replace(
            sample,
            processes=tuple(
                replace(process, descriptors=descriptors) for process in sample.processes
            ),
        )
        for sample in make_samples(one_thread())
    ]
    launch = make_launch(descriptor_limits={} if limit is None else {SERVER_PID: limit})
    return make_run(**{"samples": samples, "launch": launch, **changes})


def test_connections_are_missing_at_the_limit() -> None:
    run = server(1024, ticks=make_ticks(established=900), connections=1100)
    answer = check(run)
    assert answer.verdict is Verdict.FOUND
    assert "1024 descriptors open and may have 1024: 200 of 1100 connections" in answer.claim
    assert evidence_of(answer)["missing_connections"] == 200
    assert "ulimit -n" in answer.next_step


def test_connections_are_silent_at_the_limit() -> None:
    answer = check(server(1022, load=make_load(silent_connections=14)))
    assert answer.verdict is Verdict.FOUND
    assert "14 of 64 connections were missing or got no response" in answer.claim


def test_handlers_fail_at_the_limit() -> None:
    answer = check(server(1024, load=with_failures({"wrong_status": 40})))
    assert answer.verdict is Verdict.FOUND
    assert "40 requests failed" in answer.claim


@pytest.mark.parametrize("limit", [None, 1024])
def test_the_log_tells(limit: int | None) -> None:
    load = with_failures({"closed_before_response": 3})
    answer = check(server(70, limit, load=load, end=ended(None, "", "up", EMFILE)))
    assert answer.verdict is Verdict.FOUND
    assert "log" in answer.claim
    assert evidence_of(answer)["log"] == EMFILE


@pytest.mark.parametrize(
    ("run", "said"),
    [
        pytest.param(server(1024), "nothing failed: the same load with more", id="at the limit"),
        pytest.param(
            server(1024, load=with_failures({"wrong_status": 2})),
            "nothing failed",
            id="two failures may be an accident",
        ),
        pytest.param(server(end=ended(None, "", EMFILE)), "nothing failed", id="log only"),
        pytest.param(server(limit=None), "could not be read", id="nothing read"),
        pytest.param(server(load=None), "gave no result", id="no load"),
    ],
)
def test_unknown(run: Run, said: str) -> None:
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert said in answer.claim


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(server(), id="far from it"),
        pytest.param(server(1003), id="just below"),
        pytest.param(
            server(load=with_failures({"reset_before_response": 500})), id="failures alone"
        ),
        pytest.param(server(load=make_load(silent_connections=40)), id="silence alone"),
    ],
)
def test_clear(run: Run) -> None:
    assert check(run).verdict is Verdict.CLEAR
