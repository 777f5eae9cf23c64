"""memory_leak: memory against responses, twice."""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.memory_leak import check
from diagnose.model.finding import Verdict
from tests.analysis.working import STILL, leaking
from tests.builders import (
    COOLDOWN,
    DRAIN,
    END,
    MIB,
    WARMUP,
    WINDOW,
    WINDOW_S,
    Curve,
    Process,
    Thread,
    evidence_of,
    flat,
    make_load,
    make_run,
    make_samples,
    make_ticks,
    ramp,
)


def rising(window: float, *, before: float = 64 * MIB, kept: float = 1.0) -> Curve:
    """So many bytes more over the window, at a steady rate from the warm-up to the drain's end."""
    rate = window / WINDOW_S
    top = before + rate * (COOLDOWN - WARMUP)
    after = before + kept * (top - before)
    return ramp((WARMUP, before), (COOLDOWN, top), (COOLDOWN + 0.3, after))


def test_a_steady_rise_is_found() -> None:
    answer = check(leaking(rising(100 * MIB)))
    assert answer.verdict is Verdict.FOUND
    seen = evidence_of(answer)
    assert seen["growth_per_response"] == pytest.approx(100 * MIB / 5000, rel=0.01)
    assert seen["straightness_r2"] > 0.999  # type: ignore[operator]
    assert "20.5 KiB behind" in answer.claim


@pytest.mark.parametrize(
    ("window", "verdict"),
    [
        pytest.param(0, Verdict.CLEAR, id="none"),
        pytest.param(-20 * MIB, Verdict.CLEAR, id="shrinks"),
        pytest.param(7.5 * MIB, Verdict.CLEAR, id="just under 8 MiB"),
        pytest.param(8.5 * MIB, Verdict.UNKNOWN, id="just over 8 MiB"),
        pytest.param(31 * MIB, Verdict.UNKNOWN, id="just under 32 MiB"),
        pytest.param(34 * MIB, Verdict.FOUND, id="just over 32 MiB"),
    ],
)
def test_so_much_must_have_grown(window: float, verdict: Verdict) -> None:
    assert check(leaking(rising(window))).verdict is verdict


def test_what_was_given_back_is_no_leak() -> None:
    answer = check(leaking(rising(100 * MIB, kept=0.1)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "given back" in answer.claim


@pytest.mark.parametrize(
    "full",
    [
        pytest.param(WINDOW + 0.5, id="early"),
        pytest.param(WINDOW + WINDOW_S / 2, id="in the middle"),
    ],
)
def test_what_levels_off_is_clear(full: float) -> None:
    curve = ramp((WARMUP, 64 * MIB), (full, 264 * MIB))
    answer = check(leaking(curve))
    assert answer.verdict is Verdict.CLEAR
    assert "levelled off" in answer.claim


def test_steps_are_no_line() -> None:
    def steps(t: float) -> float:
        return 64 * MIB + 60 * MIB * int(max(0.0, min(t, DRAIN) - WARMUP) / 2.4)

    answer = check(leaking(steps))
    assert answer.verdict is not Verdict.FOUND


class TestTheSameLoadAgain:
    """The profiled load comes after the window."""

    def test_a_leak_grows_again(self) -> None:
        curve = ramp((WARMUP, 64 * MIB), (COOLDOWN + 0.75, 264 * MIB), (END, 264 * MIB))
        answer = check(leaking(curve, profiled=True))
        assert answer.verdict is Verdict.FOUND
        assert "again_per_response" in evidence_of(answer)

    def test_what_is_used_again_is_clear(self) -> None:
        curve = ramp((WARMUP, 64 * MIB), (DRAIN, 264 * MIB))
        answer = check(leaking(curve, profiled=True))
        assert answer.verdict is Verdict.CLEAR
        assert "came again" in answer.claim


class TestHeaps:
    """A collected heap rises too; how far tells."""

    @pytest.mark.parametrize("runtime", ["jvm", "dotnet"])
    def test_a_lazy_one_is_never_blamed(self, runtime: str) -> None:
        answer = check(leaking(rising(2000 * MIB), runtime=runtime))
        assert answer.verdict is Verdict.UNKNOWN
        assert f"the heap of {runtime}" in answer.claim

    @pytest.mark.parametrize(
        ("runtime", "before", "verdict"),
        [
            ("go", 10 * MIB, Verdict.FOUND),
            ("go", 400 * MIB, Verdict.UNKNOWN),
            ("node", 10 * MIB, Verdict.FOUND),
            ("node", 100 * MIB, Verdict.UNKNOWN),
            ("cpython", 400 * MIB, Verdict.FOUND),
            ("nginx", 400 * MIB, Verdict.FOUND),
            ("unknown", 400 * MIB, Verdict.UNKNOWN),
        ],
    )
    def test_one_that_is_collected_must_have_grown_several_times(
        self, runtime: str, before: float, verdict: Verdict
    ) -> None:
        answer = check(leaking(rising(200 * MIB, before=before), runtime=runtime))
        assert answer.verdict is verdict
        assert ("collected heap" in answer.claim) == (verdict is Verdict.UNKNOWN)

    @pytest.mark.parametrize("runtime", ["jvm", "go", "node"])
    def test_without_growth_all_are_clear(self, runtime: str) -> None:
        assert check(leaking(STILL, runtime=runtime)).verdict is Verdict.CLEAR


def test_few_responses_make_no_line() -> None:
    answer = check(leaking(rising(100 * MIB), rps=9))
    assert answer.verdict is Verdict.UNKNOWN
    assert "too few" in answer.claim


def test_bodies_in_flight_are_not_kept() -> None:
    process = Process(threads=(Thread(1, 0.9),), anonymous=rising(200 * MIB))
    run = make_run(
        samples=make_samples((process,)),
        ticks=make_ticks(body_in_flight=ramp((WARMUP, 0), (DRAIN, 240 * MIB))),
    )
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert "bodies in flight" in answer.claim


def test_unknown_without_ticks_or_samples() -> None:
    for run in (
        make_run(ticks=()),
        make_run(samples=()),
        make_run(samples=make_samples(start=WINDOW)),
    ):
        answer = check(run)
        assert answer.verdict is Verdict.UNKNOWN
        assert "not both told" in answer.claim


def test_a_server_that_was_not_sampled_is_not_cleared() -> None:
    process = Process(threads=(Thread(1, 0.0),), anonymous=flat(MIB))
    answer = check(make_run(samples=make_samples((process,)), load=make_load()))
    assert answer.verdict is Verdict.UNKNOWN
    assert "not among them" in answer.claim
