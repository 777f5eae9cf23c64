"""stalls: moments in which nothing comes or goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from diagnose.analysis.rules.stalls import check
from diagnose.model.finding import Verdict
from diagnose.model.load import LoadTick
from tests.builders import (
    BODY,
    UPLOADS,
    WINDOW,
    evidence_of,
    make_latency,
    make_load,
    make_run,
    make_samples,
    make_scenario,
    make_ticks,
    two_workers,
)

FIELDS = ("responses", "bytes_sent", "bytes_received")


def with_stalls(
    *stalls: tuple[float, float], rps: float = 1000.0, workers: int = 1, moving: bool = False
) -> tuple[LoadTick, ...]:
    """Ticks whose counters stand still for (start, seconds), counted from the window's start.

    moving: bytes go on.
    """
    rows: list[LoadTick] = []
    fields = FIELDS[:1] if moving else FIELDS
    held: dict[int, dict[str, int]] = {}
    for tick in make_ticks(rps=rps, workers=workers):
        inside = any(
            WINDOW + start <= tick.t - 0.025 < WINDOW + start + seconds for start, seconds in stalls
        )
        if inside and tick.worker in held:
            tick = msgspec.structs.replace(tick, **held[tick.worker])
        else:
            held[tick.worker] = {field: getattr(tick, field) for field in fields}
        rows.append(tick)
    return tuple(rows)


def judge(ticks: Sequence[LoadTick], **changes: Any) -> Verdict:
    """The verdict on these ticks."""
    return check(make_run(ticks=ticks, load=make_load(latency=quick()), **changes)).verdict


def quick() -> Any:
    """A median of 20 ms, so that a stall is not the time of a request."""
    latency = make_latency()
    return type(latency)(5000, 0.02, 0.02, 0.03, 0.05, 0.1, 0.2)


@pytest.mark.parametrize(
    ("stalls", "verdict"),
    [
        pytest.param((), Verdict.CLEAR, id="none"),
        pytest.param(((1, 0.15),), Verdict.CLEAR, id="too short"),
        pytest.param(((1, 0.25),), Verdict.UNKNOWN, id="one short one"),
        pytest.param(((1, 0.25), (3, 0.25)), Verdict.FOUND, id="two short ones"),
        pytest.param(((1, 0.6),), Verdict.FOUND, id="one long one"),
        pytest.param(((1, 1.0),), Verdict.FOUND, id="a second"),
    ],
)
def test_how_often_and_how_long(stalls: Sequence[tuple[float, float]], verdict: Verdict) -> None:
    assert judge(with_stalls(*stalls)) is verdict


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_all_workers_of_the_generator_must_see_it(workers: int) -> None:
    assert judge(with_stalls((1, 0.6), workers=workers)) is Verdict.FOUND


def test_one_worker_whose_connections_stand_still_is_no_stall() -> None:
    ticks = [
        msgspec.structs.replace(tick, responses=7, bytes_sent=7, bytes_received=7)
        if tick.worker == 1
        else tick
        for tick in make_ticks(workers=2)
    ]
    assert judge(ticks) is Verdict.CLEAR


def test_a_generator_that_slept_itself_proves_nothing() -> None:
    ticks = [tick for tick in with_stalls((1, 1)) if not WINDOW + 1 < tick.t - 0.025 < WINDOW + 2]
    assert judge(ticks) is Verdict.CLEAR


def test_bytes_that_move_are_no_stall() -> None:
    assert judge(with_stalls((1, 1), moving=True)) is Verdict.CLEAR


@pytest.mark.parametrize(
    ("p50_s", "verdict"),
    [
        pytest.param(0.1, Verdict.FOUND, id="five times a request"),
        pytest.param(0.2, Verdict.CLEAR, id="three times: they went out together"),
    ],
)
def test_answers_in_waves_are_no_stalls(p50_s: float, verdict: Verdict) -> None:
    latency = type(quick())(5000, p50_s, p50_s, p50_s, p50_s, p50_s, p50_s)
    ticks = with_stalls((1, 0.6), (3, 0.6))
    answer = check(make_run(ticks=ticks, load=make_load(latency=latency)))
    assert answer.verdict is verdict


def test_few_responses_may_be_apart_by_chance() -> None:
    """Ten a second: a gap of 0.6 s comes by itself."""
    ticks = with_stalls((1, 0.6), (3, 0.6), rps=10)
    answer = check(make_run(ticks=ticks, load=make_load(responses=50, latency=quick())))
    assert answer.verdict is Verdict.UNKNOWN
    assert "does not show at 10 responses/s" in answer.claim


def test_large_bodies_move_all_the_time() -> None:
    load = make_load(responses=20, latency=make_latency())
    for seconds, verdict in ((0.4, Verdict.CLEAR), (0.6, Verdict.FOUND)):
        ticks = with_stalls((1, seconds), (3, seconds))
        run = make_run(ticks=ticks, load=load, scenario=UPLOADS)
        assert check(run).verdict is verdict, BODY


def test_found_says_what_the_cpu_did() -> None:
    samples = make_samples(two_workers(0.5))
    ticks = with_stalls((1, 1))
    answer = check(make_run(ticks=ticks, samples=samples, load=make_load(latency=quick())))
    assert "the server used 1.00 cores meanwhile" in answer.claim
    assert evidence_of(answer)["longest_stall"] == pytest.approx(1.0, abs=0.06)
    assert answer.explains == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"load": None}, "no result", id="no result"),
        pytest.param({"ticks": ()}, "too few ticks", id="no ticks"),
        pytest.param({"load": make_load(responses=0)}, "nothing was answered", id="nothing"),
        pytest.param({"load": make_load(generator="wrk")}, "wrk", id="a driver"),
        pytest.param(
            {"scenario": make_scenario(send_rate=1000.0)}, "slow on purpose", id="a slow client"
        ),
    ],
)
def test_unknown_says_why(changes: dict[str, Any], why: str) -> None:
    answer = check(make_run(**changes))
    assert answer.verdict is Verdict.UNKNOWN
    assert why in answer.claim
