"""How the threads of a process share its CPU time, over a moment."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from diagnose.process_tree import tasks
from diagnose.profilers._collected import Threads

# Less of a core is a thread that looked whether there was something to do.
RAN_SHARE = 0.002


class Moment:
    """From when it is made until `threads` is asked for."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._began = time.monotonic()
        self._before = {pid: thread_times(pid) for pid in pids}

    def threads(self, pid: int) -> Threads:
        """Of one process."""
        seconds = time.monotonic() - self._began
        return use(self._before.get(pid, {}), thread_times(pid), seconds)


def thread_times(pid: int) -> dict[int, tuple[float, float]]:
    """Seconds that each thread ran, and waited for a core. Source: proc(5), schedstat."""
    times: dict[int, tuple[float, float]] = {}
    for tid in tasks(pid):
        try:
            with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as file:
                ran, waited, *_ = file.read().split()
        except (OSError, ValueError):
            continue
        times[tid] = (int(ran) / 1e9, int(waited) / 1e9)
    return times


def use(
    before: Mapping[int, tuple[float, float]],
    after: Mapping[int, tuple[float, float]],
    seconds: float,
) -> Threads:
    """What happened between two readings; a thread that is new has run since then."""
    ran, used, wanted = 0, 0.0, 0.0
    for tid, (run_s, wait_s) in after.items():
        run_before, wait_before = before.get(tid, (0.0, 0.0))
        run = run_s - run_before
        ran += run > RAN_SHARE * seconds
        used += run
        wanted += run + wait_s - wait_before
    if seconds <= 0:
        return Threads(len(after), 0, 0.0, 0.0)
    return Threads(len(after), ran, used / seconds, wanted / seconds)
