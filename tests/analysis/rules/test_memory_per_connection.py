"""memory_per_connection: memory while connections are opened, and nothing is asked."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.memory_per_connection import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.builders import (
    CONNECT,
    DRAIN,
    MIB,
    SERVER_PID,
    WARMUP,
    Process,
    Sockets,
    Thread,
    evidence_of,
    flat,
    make_load,
    make_run,
    make_samples,
    make_scenario,
    ramp,
)

KIB = 1024


def opened(
    each: float, connections: int = 256, *, loaded: float = 0.0, extra: int = 0, **changes: Any
) -> Run:
    """A server that takes so much for each connection, and more under load."""
    base, top = 64 * MIB, 64 * MIB + each * connections
    curve = ramp(
        (CONNECT, base),
        (CONNECT + 0.2, top),
        (WARMUP, top),
        (WARMUP + 1, top + loaded),
        (DRAIN, top + loaded),
    )
    children = tuple(
        Process(
            9000 + n,
            (Thread(9000 + n, 0.01),),
            anonymous=flat(0),
            born=CONNECT + 0.1,
            parent=SERVER_PID,
        )
        for n in range(extra)
    )
    process = Process(threads=(Thread(1, 0.9), Thread(2, 0.9)), anonymous=curve)
    return make_run(
        samples=make_samples((process, *children), sockets=Sockets(connections)),
        connections=connections,
        load=make_load(connections=connections, established=connections),
        **changes,
    )


@pytest.mark.parametrize(
    ("each", "verdict"),
    [
        pytest.param(0, Verdict.CLEAR, id="nothing"),
        pytest.param(20 * KIB, Verdict.CLEAR, id="a parser and two buffers"),
        pytest.param(120 * KIB, Verdict.CLEAR, id="just under 128 KiB"),
        pytest.param(250 * KIB, Verdict.UNKNOWN, id="just under 256 KiB"),
        pytest.param(260 * KIB, Verdict.FOUND, id="just over 256 KiB"),
        pytest.param(1024 * KIB, Verdict.FOUND, id="a megabyte"),
    ],
)
def test_the_slope_decides(each: float, verdict: Verdict) -> None:
    answer = check(opened(each, 512))
    assert answer.verdict is verdict
    assert evidence_of(answer)["growth_per_connection"] == pytest.approx(each, abs=KIB)


def test_little_in_all_is_no_matter() -> None:
    assert check(opened(1000 * KIB, 62)).verdict is not Verdict.FOUND
    assert check(opened(1100 * KIB, 64)).verdict is Verdict.FOUND


def test_few_connections_make_no_slope() -> None:
    answer = check(opened(10 * MIB, 15))
    assert answer.verdict is Verdict.UNKNOWN
    assert "only 15" in answer.claim


def test_processes_share_memory() -> None:
    answer = check(opened(1024 * KIB, extra=3))
    assert answer.verdict is Verdict.UNKNOWN
    assert "3 processes started" in answer.claim


def test_growth_under_load_may_be_anything() -> None:
    answer = check(opened(10 * KIB, loaded=300 * MIB))
    assert answer.verdict is Verdict.UNKNOWN
    assert "half the connections" in answer.claim
    assert check(opened(10 * KIB, loaded=50 * MIB)).verdict is Verdict.CLEAR


def test_unknown_where_connections_were_opened_under_load() -> None:
    answer = check(opened(1024 * KIB, scenario=make_scenario(ramp_s=2.0)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "no request" in answer.claim


def test_unknown_without_samples_before() -> None:
    assert check(make_run(samples=make_samples(start=WARMUP))).verdict is Verdict.UNKNOWN
