"""Threads that ran, and the cores that they wanted."""

from __future__ import annotations

import os
import threading

import pytest

from diagnose.profilers._collected import Threads
from diagnose.recorder.thread_use import Moment, thread_times, use


@pytest.mark.parametrize(
    ("before", "after", "threads"),
    [
        pytest.param({1: (5.0, 1.0)}, {1: (5.4, 1.1)}, Threads(1, 1, 0.8, 1.0), id="one, starved"),
        pytest.param(
            {1: (1.0, 0.0), 2: (9.0, 0.0)},
            {1: (1.25, 0.0), 2: (9.0, 0.0)},
            Threads(2, 1, 0.5, 0.5),
            id="one of two",
        ),
        pytest.param({}, {3: (0.1, 0.0)}, Threads(1, 1, 0.2, 0.2), id="a new one"),
        pytest.param(
            {1: (1.0, 0.0)}, {1: (1.0005, 0.0)}, Threads(1, 0, 0.001, 0.001), id="it looked"
        ),
        pytest.param({1: (1.0, 0.0)}, {}, Threads(0, 0, 0.0, 0.0), id="gone"),
    ],
)
def test_what_happened_between_two_readings(
    before: dict[int, tuple[float, float]],
    after: dict[int, tuple[float, float]],
    threads: Threads,
) -> None:
    seen = use(before, after, 0.5)
    assert (seen.all, seen.ran) == (threads.all, threads.ran)
    assert (seen.used, seen.wanted) == pytest.approx((threads.used, threads.wanted))


def test_no_time_is_no_use() -> None:
    assert use({}, {1: (1.0, 1.0)}, 0.0) == Threads(1, 0, 0.0, 0.0)


def test_threads_of_this_process() -> None:
    times = thread_times(os.getpid())
    assert threading.get_native_id() in times
    assert all(ran >= 0 and waited >= 0 for ran, waited in times.values())
    assert thread_times(2**22 + 1) == {}
    assert Moment([os.getpid()]).threads(os.getpid()).all >= 1
    assert Moment([]).threads(2**22 + 1) == Threads(0, 0, 0.0, 0.0)
