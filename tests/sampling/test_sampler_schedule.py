"""Costly reads keep to their share of a core, and what was lowered is told: with a clock of our
own."""

from __future__ import annotations

import msgspec
import pytest

from diagnose.sampling.protocol import SamplerPlan, SamplerStatus
from diagnose.sampling.schedule import Lowered, Schedule

SHARE = 0.01


def schedule(every_s: float) -> Schedule:
    """Of something that may take a hundredth of a core."""
    return Schedule("threads", every_s, SHARE)


def times_done(schedule: Schedule, seconds: float, tick_s: float, cost_s: float) -> list[float]:
    """When it was done, looked at every `tick_s` from time 1000 on."""
    done = []
    for tick in range(round(seconds / tick_s)):
        now = 1000.0 + tick * tick_s
        if schedule.due(now):
            done.append(now)
            schedule.done(now, cost_s)
    return done


def test_due_at_first() -> None:
    assert schedule(10.0).due(0.0)
    assert schedule(10.0).due(5000.0)


def test_not_due_before_its_time() -> None:
    plan = schedule(0.25)
    plan.done(100.0, 0.0)
    assert not plan.due(100.0)
    assert not plan.due(100.24)
    assert plan.due(100.25)
    assert plan.due(900.0)


def test_asking_changes_nothing() -> None:
    plan = schedule(0.25)
    plan.done(100.0, 0.0)
    assert [plan.due(100.3) for _ in range(3)] == [True, True, True]


def test_a_fair_share_may_be_another_one_for_a_while() -> None:
    plan = Schedule("threads", 0.05, SHARE, 0.001)
    plan.done(100.0, 0.0002)
    plan.done(100.2, 0.0002)
    assert plan.interval_s == pytest.approx(0.2)
    plan.done(100.4, 0.0002, 0.004)
    assert plan.interval_s == pytest.approx(0.05)


def test_one_expensive_reading_is_forgiven() -> None:
    """The first one opens files."""
    plan = schedule(0.05)
    plan.done(100.0, 0.5)
    assert plan.due(100.05)
    plan.done(100.05, 0.0001)
    plan.done(100.10, 0.5)
    assert plan.due(100.15)
    assert plan.lowered() is None


def test_what_goes_on_to_cost_more_than_its_share_waits_longer() -> None:
    plan = schedule(0.05)
    plan.done(100.0, 0.004)
    plan.done(100.05, 0.004)
    assert not plan.due(100.44)
    assert plan.due(100.45)
    assert plan.interval_s == pytest.approx(0.4)


def test_cheap_again_is_often_again() -> None:
    plan = schedule(0.05)
    plan.done(100.0, 1.0)
    plan.done(100.05, 1.0)
    assert not plan.due(150.0)
    plan.done(200.05, 0.0)
    assert plan.due(200.1)


def test_due_at_once_when_asked_for() -> None:
    plan = schedule(0.05)
    plan.done(100.0, 1.0)
    plan.done(100.05, 1.0)
    plan.now()
    assert plan.due(100.06)


@pytest.mark.parametrize("tick_s", [1 / 20, 1 / 50, 1 / 3])
def test_as_often_as_the_ticks_is_at_every_tick(tick_s: float) -> None:
    """Rounding of the times must not skip every other tick."""
    assert len(times_done(schedule(tick_s), 20.0, tick_s, 0.0)) == round(20.0 / tick_s)


@pytest.mark.parametrize(
    ("every_s", "cost_s", "per_minute"),
    [(0.25, 0.0, 240), (0.5, 0.001, 120), (0.2, 0.01, 61), (0.05, 0.05, 13), (1.0, 0.6, 2)],
)
def test_how_often(every_s: float, cost_s: float, per_minute: int) -> None:
    done = times_done(schedule(every_s), 60.0, 0.05, cost_s)
    assert len(done) == per_minute


@pytest.mark.parametrize("cost_s", [0.001, 0.02, 0.3])
def test_the_share_of_a_core_is_kept(cost_s: float) -> None:
    done = times_done(schedule(0.05), 600.0, 0.05, cost_s)
    assert (len(done) - 2) * cost_s <= 1.02 * SHARE * (done[-1] - done[1])
    assert len(done) > 10


@pytest.mark.parametrize(
    ("cost_s", "interval_s"),
    [(0.00001, 0.05), (0.0001, 0.1), (0.0002, 0.2), (0.001, 1 / 3), (0.003, 1 / 3), (0.004, 0.4)],
)
def test_with_a_fair_share_it_is_lowered_early_but_not_far(
    cost_s: float, interval_s: float
) -> None:
    plan = Schedule("threads", 0.05, SHARE, fair=0.001)
    plan.done(100.0, cost_s)
    plan.done(101.0, cost_s)
    assert plan.interval_s == pytest.approx(interval_s)


# -- what is told of it -------------------------------------------------------------------------


def test_nothing_is_told_of_what_was_read_as_often_as_asked_for() -> None:
    plan = schedule(0.05)
    assert plan.lowered() is None
    times_done(plan, 10.0, 0.05, 0.0001)
    assert plan.lowered() is None


def test_what_was_lowered_is_told_with_rate_cost_and_share() -> None:
    plan = schedule(0.05)
    times_done(plan, 60.0, 0.05, 0.005)
    lowered = plan.lowered()
    assert lowered is not None
    assert lowered == Lowered("threads", 20.0, lowered.rate_hz, pytest.approx(0.005), SHARE)
    assert lowered.rate_hz == pytest.approx(2.0, rel=0.02)
    assert str(lowered) == (
        "threads: read 2 times a second, not 20: one reading took 5 ms of CPU time, and 1.00% of a "
        "core is spent on it at most"
    )


def test_the_rate_counts_from_when_it_was_lowered() -> None:
    """An idle server first, then 512 threads."""
    plan = schedule(0.05)
    times_done(plan, 100.0, 0.05, 0.0)
    for second in range(1101, 1111):
        plan.done(float(second), 0.01)
    lowered = plan.lowered()
    assert lowered is not None
    assert lowered.rate_hz == pytest.approx(1.0)


def test_a_little_less_often_is_not_worth_telling() -> None:
    plan = schedule(0.05)
    for tick in range(100):
        plan.done(100.0 + tick * 0.055, 0.00055)
    assert plan.lowered() is None


def test_lowered_once_and_never_read_again_is_not_told() -> None:
    """There is no rate to tell."""
    plan = schedule(0.05)
    plan.done(100.0, 1.0)
    plan.done(100.05, 1.0)
    assert plan.lowered() is None


def test_plan_and_status_survive_the_line() -> None:
    plan = SamplerPlan(1, False, 8080, "/tmp/x y/samples.jsonl", 20.0, True)
    status = SamplerStatus(1.5, 2, 3, 1 << 40, 5, 6, 0.25, 19.5, ("threads: read less often",))
    for sent, kind in ((plan, SamplerPlan), (status, SamplerStatus)):
        line = msgspec.json.encode(sent)
        assert b"\n" not in line
        assert msgspec.json.decode(line, type=kind) == sent
