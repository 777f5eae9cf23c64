"""connections_missing: the median of established connections over the window."""

from __future__ import annotations

import msgspec
import pytest

from diagnose.analysis.rules.connections_missing import check
from diagnose.model.finding import Verdict
from tests.builders import (
    COOLDOWN,
    DRAIN,
    WINDOW,
    Sockets,
    evidence_of,
    make_load,
    make_phases,
    make_run,
    make_samples,
    make_ticks,
)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    ("stood", "verdict"),
    [
        pytest.param(100, Verdict.CLEAR, id="all"),
        pytest.param(90, Verdict.CLEAR, id="nine tenths"),
        pytest.param(89, Verdict.FOUND, id="just fewer"),
        pytest.param(0, Verdict.FOUND, id="none"),
    ],
)
def test_a_tenth_may_be_missing(stood: int, verdict: Verdict, workers: int) -> None:
    samples = make_samples(sockets=Sockets(established=stood))
    ticks = make_ticks(established=stood, workers=workers)
    answer = check(make_run(samples=samples, ticks=ticks, connections=100))
    assert answer.verdict is verdict
    assert evidence_of(answer)["established"] == stood
    assert f"{stood} of 100 connections" in answer.claim
    assert [row.threshold for row in answer.evidence] == [90]


@pytest.mark.parametrize(
    ("sockets", "opens", "verdict"),
    [
        pytest.param(Sockets(established=90), 0, Verdict.CLEAR, id="nine tenths at the server"),
        pytest.param(Sockets(established=89), 0, Verdict.FOUND, id="just fewer at the server"),
        pytest.param(Sockets(established=89), 50, Verdict.FOUND, id="hardly any reopened"),
        pytest.param(Sockets(established=89), 51, Verdict.CLEAR, id="many reopened"),
        pytest.param(None, 0, Verdict.CLEAR, id="sockets not sampled"),
    ],
)
def test_connections_may_stand_for_the_client_alone(
    sockets: Sockets | None, opens: int, verdict: Verdict
) -> None:
    """Those in the listen backlog do: the kernel took them, the server did not."""
    run = make_run(
        samples=make_samples(sockets=sockets),
        ticks=make_ticks(established=100),
        connections=100,
        load=make_load(opens=opens),
    )
    answer = check(run)
    assert answer.verdict is verdict
    assert ("only 89 of 100 at the server" in answer.claim) == (verdict is Verdict.FOUND)
    assert ("listen backlog" in answer.next_step) == (verdict is Verdict.FOUND)


def test_a_short_dip_is_not_the_median() -> None:
    ticks = [
        msgspec.structs.replace(tick, established=0) if tick.t < WINDOW + 2 else tick
        for tick in make_ticks()
    ]
    assert check(make_run(ticks=ticks)).verdict is Verdict.CLEAR


def test_a_long_dip_is() -> None:
    ticks = [
        msgspec.structs.replace(tick, established=0) if tick.t < WINDOW + 3 else tick
        for tick in make_ticks()
    ]
    assert check(make_run(ticks=ticks)).verdict is Verdict.FOUND


def test_only_the_window_counts() -> None:
    ticks = [
        tick if tick.phase == "window" else msgspec.structs.replace(tick, established=0)
        for tick in make_ticks()
    ]
    assert check(make_run(ticks=ticks)).verdict is Verdict.CLEAR


def test_moments_with_a_worker_missing_are_left_out() -> None:
    """A worker whose tick is late must not count as connections that are gone."""
    ticks = [
        tick
        for tick in make_ticks(workers=2)
        if tick.worker == 0 or int(tick.t * 10) % 2 or tick.phase != "window"
    ]
    answer = check(make_run(ticks=ticks))
    assert answer.verdict is Verdict.CLEAR
    assert evidence_of(answer)["established"] == 64


def test_the_profiled_load_does_not_count() -> None:
    """Its ticks say `window` too."""
    after = [
        msgspec.structs.replace(tick, t=tick.t + COOLDOWN - WINDOW, established=1)
        for tick in make_ticks(start=WINDOW, end=DRAIN)
    ]
    run = make_run(ticks=[*make_ticks(), *after], phases=make_phases(profiled=True))
    answer = check(run)
    assert answer.verdict is Verdict.CLEAR
    assert evidence_of(answer)["established"] == 64


@pytest.mark.parametrize(
    "seconds", [pytest.param(0.0, id="no ticks"), pytest.param(0.2, id="two tenths")]
)
def test_unknown_when_the_window_is_too_short(seconds: float) -> None:
    answer = check(make_run(ticks=make_ticks(established=0, end=WINDOW + seconds)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "too short" in answer.claim
