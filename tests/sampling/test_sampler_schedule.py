"""Costly reads keep to their share of a core: with a clock of our own."""

from __future__ import annotations

import msgspec
import pytest

from diagnose.sampling.sampler import COST_SHARE, SamplerPlan, SamplerStatus, Schedule


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
    assert Schedule(10.0).due(0.0)
    assert Schedule(10.0).due(5000.0)


def test_not_due_before_its_time() -> None:
    schedule = Schedule(0.25)
    schedule.done(100.0, 0.0)
    assert not schedule.due(100.0)
    assert not schedule.due(100.24)
    assert schedule.due(100.25)
    assert schedule.due(900.0)


def test_asking_changes_nothing() -> None:
    schedule = Schedule(0.25)
    schedule.done(100.0, 0.0)
    assert [schedule.due(100.3) for _ in range(3)] == [True, True, True]


def test_what_costs_more_than_its_share_waits_longer() -> None:
    schedule = Schedule(0.05)
    schedule.done(100.0, 0.004)
    assert not schedule.due(100.39)
    assert schedule.due(100.40)


def test_cheap_again_is_often_again() -> None:
    schedule = Schedule(0.05)
    schedule.done(100.0, 1.0)
    assert not schedule.due(150.0)
    schedule.done(200.0, 0.0)
    assert schedule.due(200.05)


@pytest.mark.parametrize("tick_s", [1 / 20, 1 / 50, 1 / 3])
def test_as_often_as_the_ticks_is_at_every_tick(tick_s: float) -> None:
    """Rounding of the times must not skip every other tick."""
    assert len(times_done(Schedule(tick_s), 20.0, tick_s, 0.0)) == round(20.0 / tick_s)


@pytest.mark.parametrize(
    ("every_s", "cost_s", "per_minute"),
    [(0.25, 0.0, 240), (0.5, 0.001, 120), (0.2, 0.01, 60), (0.05, 0.05, 12), (1.0, 0.6, 1)],
)
def test_how_often(every_s: float, cost_s: float, per_minute: int) -> None:
    done = times_done(Schedule(every_s), 60.0, 0.05, cost_s)
    assert len(done) == per_minute


@pytest.mark.parametrize("cost_s", [0.001, 0.02, 0.3])
def test_the_share_of_a_core_is_kept(cost_s: float) -> None:
    done = times_done(Schedule(0.05), 600.0, 0.05, cost_s)
    assert (len(done) - 1) * cost_s <= 1.02 * COST_SHARE * (done[-1] - done[0])
    assert len(done) > 10


def test_plan_and_status_survive_the_line() -> None:
    plan = SamplerPlan(1, False, 8080, "/tmp/x y/samples.jsonl", 20.0)
    status = SamplerStatus(1.5, 2, 3, 1 << 40, 5, 6, 0.25)
    for sent, kind in ((plan, SamplerPlan), (status, SamplerStatus)):
        line = msgspec.json.encode(sent)
        assert b"\n" not in line
        assert msgspec.json.decode(line, type=kind) == sent
