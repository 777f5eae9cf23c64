"""All workers share one lock, and hold it while they make an answer.

The handlers run in threads, so that connections are read meanwhile; but only one handler of the
whole server is at work.

What a user sees: CPU usage stays at one core, spread evenly over all workers, whose threads wait
for each other. More workers and more cores change nothing. Latency is the number of connections
times what one answer takes.
"""

from __future__ import annotations

import functools
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

from reference_server.entry import Entry
from reference_server.faults import complete
from reference_server.faults._threads import in_threads
from reference_server.messages import Handler, Request, Response

# Answers that take long enough for the lock to be what counts.
SCENARIO = "compression"
CONNECTIONS = 32
TRUE_FINDINGS = ("lock_contention", "low_cpu")
POSSIBLE_FINDINGS = ("slow_tail", "slower_than_reference", "unfair")
FALSE_FINDINGS = (
    "blocking_event_loop",
    "cpu_quota",
    "downstream_wait",
    "gil_bound",
    "pool_exhausted",
    "single_threaded",
    "thread_explosion",
    "worker_imbalance",
)

THREADS = 8


@functools.cache
def pool() -> ThreadPoolExecutor:
    """The threads of this process, started by its requests."""
    return ThreadPoolExecutor(THREADS, "handler")


def apply(entry: Entry) -> Entry:
    """The entry that makes one answer at a time."""
    # Of the kind that lives in memory which the workers inherit: nothing of it stays anywhere.
    lock = multiprocessing.get_context("fork").Lock()

    def locked(handler: Handler) -> Handler:
        def one_at_a_time(request: Request) -> Response:
            with lock:
                return complete(handler(request))

        return one_at_a_time

    return in_threads(entry, pool, locked)
