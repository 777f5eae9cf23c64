"""memory_retained: what is kept, against what could have been in use."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.memory_retained import check, in_use
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.analysis.working import STILL, leaking
from tests.builders import (
    COOLDOWN,
    DRAIN,
    MIB,
    UPLOADS,
    WARMUP,
    WINDOW,
    Curve,
    evidence_of,
    make_run,
    make_samples,
    ramp,
)


def filled(size: float, *, full: float = WINDOW + 0.5, kept: float = 1.0) -> Curve:
    """Taken bit by bit from the warm-up until it is full; a share of it is kept."""
    base = 64 * MIB
    return ramp(
        (WARMUP, base),
        (full, base + size),
        (COOLDOWN, base + size),
        (COOLDOWN + 0.3, base + kept * size),
    )


def run_of(size: float, **changes: Any) -> Run:
    curve = {name: changes.pop(name) for name in ("full", "kept") if name in changes}
    return leaking(filled(size, **curve), **changes)


def test_more_than_could_be_in_use_is_found() -> None:
    answer = check(run_of(128 * MIB))
    assert answer.verdict is Verdict.FOUND
    assert evidence_of(answer)["kept"] == pytest.approx(128 * MIB, rel=0.01)
    assert evidence_of(answer)["in_use_at_most"] == in_use(run_of(128 * MIB))


@pytest.mark.parametrize(
    ("size", "verdict"),
    [
        pytest.param(0, Verdict.CLEAR, id="none"),
        pytest.param(63 * MIB, Verdict.CLEAR, id="just under 64 MiB"),
        pytest.param(65 * MIB, Verdict.FOUND, id="just over 64 MiB"),
    ],
)
def test_so_much_must_be_kept(size: float, verdict: Verdict) -> None:
    assert check(run_of(size)).verdict is verdict


@pytest.mark.parametrize(
    ("kept", "verdict"),
    [(0.05, Verdict.CLEAR), (0.29, Verdict.CLEAR), (0.35, Verdict.UNKNOWN), (0.65, Verdict.UNKNOWN),
     (0.75, Verdict.FOUND)],
)  # fmt: skip
def test_what_is_given_back_is_not_kept(kept: float, verdict: Verdict) -> None:
    assert check(run_of(1000 * MIB, kept=kept)).verdict is verdict


@pytest.mark.parametrize(("connections", "verdict"), [(64, Verdict.FOUND), (400, Verdict.UNKNOWN)])
def test_many_connections_may_have_used_it(connections: int, verdict: Verdict) -> None:
    answer = check(run_of(100 * MIB, connections=connections))
    assert answer.verdict is verdict
    assert ("in use at one time" in answer.claim) == (verdict is Verdict.UNKNOWN)


def test_large_answers_in_flight_may_have_used_it() -> None:
    answer = check(run_of(100 * MIB, load={"bytes_received": 5000 * MIB}))
    assert answer.verdict is Verdict.UNKNOWN


def test_a_step_is_no_cache() -> None:
    curve = ramp((WARMUP + 0.1, 64 * MIB), (WARMUP + 0.11, 264 * MIB))
    answer = check(leaking(curve))
    assert answer.verdict is Verdict.UNKNOWN
    assert "in a step" in answer.claim


def test_what_still_grows_is_another_matter() -> None:
    answer = check(run_of(400 * MIB, full=DRAIN))
    assert answer.verdict is Verdict.UNKNOWN
    assert "memory_leak" in answer.claim


@pytest.mark.parametrize("runtime", ["jvm", "dotnet", "go", "node", "ruby", "unknown"])
def test_a_collector_keeps_as_much(runtime: str) -> None:
    answer = check(run_of(500 * MIB, runtime=runtime))
    assert answer.verdict is Verdict.UNKNOWN
    assert "collected" in answer.claim


def test_an_allocator_keeps_what_bodies_needed() -> None:
    answer = check(run_of(500 * MIB, scenario=UPLOADS))
    assert answer.verdict is Verdict.UNKNOWN
    assert "bodies" in answer.claim


def test_every_doubt_names_the_experiment() -> None:
    for run in (run_of(500 * MIB, runtime="go"), run_of(400 * MIB, full=DRAIN)):
        assert "diagnose attach" in check(run).claim


def test_unknown_without_a_cool_down() -> None:
    run = make_run(samples=make_samples(end=DRAIN))
    assert check(run).verdict is Verdict.UNKNOWN
    assert check(leaking(STILL)).verdict is Verdict.CLEAR
