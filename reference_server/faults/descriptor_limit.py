"""Each worker may have 64 descriptors open: it can accept no more connections than about 50.

What a user sees: up to some 50 connections for each worker all is well. More can be opened, because
the kernel accepts them, but they get no answer. The workers try to accept them all the time, and
cannot.
"""

from __future__ import annotations

import dataclasses
import resource

from reference_server.entry import Entry

SCENARIO = "baseline"
CONNECTIONS = 256
# Requests that hang are waited for; a shorter timeout makes the run shorter, and nothing else.
RUN_OPTIONS = ("--timeout", "2.5")
TRUE_FINDINGS = ("fd_exhausted", "hung")
# It is a cap on connections; and those that wait keep the accept queue full, and the loop awake.
POSSIBLE_FINDINGS = (
    "accept_bottleneck",
    "busy_spin",
    "connection_cap",
    "slower_than_reference",
    "unfair",
)
FALSE_FINDINGS = (
    "blocking_event_loop",
    "connection_closed",
    "keepalive_capped",
    "pool_exhausted",
    "stalls",
    "wrong_answers",
)

MOST_DESCRIPTORS = 64


def apply(entry: Entry) -> Entry:
    """The entry with a low limit, as `ulimit -n 64` would set it."""

    def limit_descriptors() -> None:
        entry.set_up()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_DESCRIPTORS, hard))

    return dataclasses.replace(entry, set_up=limit_descriptors)
