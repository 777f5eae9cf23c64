"""Calls of contended locks in profiles of many languages."""

from __future__ import annotations

import pytest

from diagnose.analysis.lock_frames import lock_frames
from tests.builders import make_profile


@pytest.mark.parametrize(
    "frame",
    [
        "__GI___lll_lock_wait",
        "__lll_lock_wake",
        "__pthread_mutex_lock_slow",
        "sync.(*Mutex).lockSlow",
        "internal/sync.(*Mutex).unlockSlow",
        "sync.runtime_SemacquireMutex",
        "std::sys::sync::mutex::futex::Mutex::lock_contended",
        "parking_lot::raw_mutex::RawMutex::lock_slow",
        "ObjectMonitor::enter(JavaThread*)",
        "JIT_MonContention_Helper",
    ],
)
def test_a_contended_lock_is_known(frame: str) -> None:
    seen = lock_frames([make_profile({f"main;handle;{frame};futex_wait": 30, "main;work": 70})])
    assert seen is not None
    assert seen.share == pytest.approx(0.3)
    assert (seen.lock, seen.caller) == (frame, "handle")


@pytest.mark.parametrize(
    "frame",
    [
        "runtime.futex",
        "runtime.lock2",
        "Unsafe_Park",
        "pthread_cond_wait",
        "tokio::runtime::park::Inner::park",
        "do_futex",
        "block_in_file (app.py:3)",
        "clock_gettime",
        "pthread_mutex_lock",
    ],
)
def test_what_puts_idle_threads_to_sleep_is_not(frame: str) -> None:
    seen = lock_frames([make_profile({f"main;{frame}": 30, "main;work": 70})])
    assert seen is not None
    assert seen.share == 0


def test_the_profile_with_most_of_it_counts_and_its_most_frequent_caller() -> None:
    quiet = make_profile({"main;work": 100})
    locked = make_profile(
        {"main;a;__lll_lock_wait": 5, "main;b;__lll_lock_wait": 15, "main;work": 80}, pid=2
    )
    seen = lock_frames([quiet, locked])
    assert seen is not None
    assert seen.share == pytest.approx(0.2)
    assert seen.caller == "b"


def test_too_few_samples_are_no_profile() -> None:
    assert lock_frames([make_profile({"main;__lll_lock_wait": 19})]) is None
    assert lock_frames([]) is None
