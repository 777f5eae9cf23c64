"""One process with one thread does all the serving, whatever the number of cores.

What a user sees: one core is busy, the others idle, and more cores or more connections do not raise
the throughput. On a machine with 64 cores the CPU usage stays at 100 % of 6,400 %.
"""

from __future__ import annotations

import dataclasses

from reference_server.entry import Entry

SCENARIO = "json@2026-03"
CONNECTIONS = 64
TRUE_FINDINGS = ("single_threaded", "low_cpu")
FALSE_FINDINGS = (
    "lock_contention",
    "gil_bound",
    "blocking_event_loop",
    "cpu_quota",
    "connection_cap",
)


def apply(entry: Entry) -> Entry:
    """The entry with one process."""
    return dataclasses.replace(entry, workers=1, supervised=False)
