"""A handler waits for something else with a call that blocks the event loop.

It sleeps for 5 ms, as a synchronous call to another service would; meanwhile the worker answers
nobody, reads nothing and accepts nothing.

What a user sees: a few hundred requests per second on idle cores, latency that grows with every
connection, requests that lie unread in the sockets. More workers help, more connections do not.
"""

from __future__ import annotations

import time

from reference_server.entry import Entry
from reference_server.faults import Answer, wrap_handlers
from reference_server.messages import Handler, Request

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("blocking_event_loop", "low_cpu")
POSSIBLE_FINDINGS = ("slow_tail", "slower_than_reference", "too_few_workers", "unfair")
FALSE_FINDINGS = (
    "cpu_quota",
    "delayed_ack",
    "downstream_wait",
    "gil_bound",
    "lock_contention",
    "pool_exhausted",
    "single_threaded",
)

CALL_SECONDS = 0.005


def blocking(handler: Handler) -> Handler:
    """The handler, after a call that waits in the thread of the event loop."""

    def waiting(request: Request) -> Answer:
        time.sleep(CALL_SECONDS)
        return handler(request)

    return waiting


def apply(entry: Entry) -> Entry:
    """The entry whose handlers block."""
    return wrap_handlers(entry, blocking)
