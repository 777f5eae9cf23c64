"""The schedule of an open loop, and pieces at a bounded rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnose.load.pacing import PIECE_S, Schedule, piece


def test_requests_are_due_at_even_distances() -> None:
    schedule = Schedule(4.0, 100.0)
    assert [schedule.take() for _ in range(5)] == [100.0, 100.25, 100.5, 100.75, 101.0]
    assert schedule.taken == 5
    assert schedule.next_due == 101.25


def test_looking_takes_nothing() -> None:
    schedule = Schedule(1.0, 0.0)
    assert schedule.next_due == schedule.next_due == 0.0
    assert schedule.taken == 0


def test_workers_take_turns() -> None:
    """Three workers of a rate of 3 each: all of them together are even at 9."""
    due = [Schedule(3.0, 0.0, phase / 3).take() for phase in range(3)]
    assert due == pytest.approx([0.0, 1 / 9, 2 / 9])


def test_what_was_due_before_keeps_its_time() -> None:
    """A late request is timed from when it was due: its wait is part of the latency."""
    schedule = Schedule(10.0, 0.0)
    assert [schedule.take() for _ in range(3)] == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize(
    ("now", "taken", "overdue"),
    [
        (99.0, 0, 0),
        (100.0, 0, 1),
        (100.4, 0, 1),
        (100.5, 0, 2),
        (100.5, 1, 1),
        (100.5, 2, 0),
        (110.0, 0, 21),
        (100.0, 5, 0),
    ],
)
def test_overdue(now: float, taken: int, overdue: int) -> None:
    schedule = Schedule(2.0, 100.0)
    for _ in range(taken):
        schedule.take()
    assert schedule.overdue(now) == overdue


def test_nothing_is_overdue_before_the_first_one() -> None:
    assert Schedule(1.0, 10.0, 0.5).overdue(10.4) == 0
    assert Schedule(1.0, 10.0, 0.5).overdue(10.5) == 1


@given(st.floats(0.1, 1e6), st.integers(0, 1000))
def test_a_schedule_does_not_drift(rate: float, count: int) -> None:
    schedule = Schedule(rate, 0.0)
    for _ in range(count):
        schedule.take()
    assert schedule.next_due == pytest.approx(count / rate)


@pytest.mark.parametrize(
    ("rate", "size"), [(1 << 20, int((1 << 20) * PIECE_S)), (1000, 50), (10, 1), (0.5, 1)]
)
def test_pieces_have_at_least_a_byte(rate: float, size: int) -> None:
    assert piece(rate) == size
