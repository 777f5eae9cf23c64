"""One process with a pool of 16 threads: Python lets one of them run at a time.

What a user sees: one core's worth of CPU time spread over many threads, none of which is busy by
itself, and many changes from one to the other. More threads or more cores do not raise the
throughput; more processes would.
"""

from __future__ import annotations

import dataclasses
import functools
from concurrent.futures import ThreadPoolExecutor

from reference_server.entry import Entry
from reference_server.faults._threads import in_threads

SCENARIO = "json@2026-03"
CONNECTIONS = 64
TRUE_FINDINGS = ("gil_bound", "low_cpu")
# One process on several cores is too few of them, while the GIL is what says so.
POSSIBLE_FINDINGS = ("slow_tail", "slower_than_reference", "too_few_workers", "unfair")
FALSE_FINDINGS = (
    "blocking_event_loop",
    "cpu_quota",
    "downstream_wait",
    "lock_contention",
    "pool_exhausted",
    "thread_explosion",
    "worker_imbalance",
)

THREADS = 16


@functools.cache
def pool() -> ThreadPoolExecutor:
    """The threads of this process, started by its requests."""
    return ThreadPoolExecutor(THREADS, "handler")


def apply(entry: Entry) -> Entry:
    """The entry with threads instead of processes."""
    return dataclasses.replace(in_threads(entry, pool), workers=1, supervised=False)
