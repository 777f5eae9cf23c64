"""Every query takes 50 ms in the database, a process of its own; the server waits properly.

What a user sees: no request takes less than 50 ms, the cores idle, and throughput is the number of
connections times 20 per second, however fast the server. It is the database that has to become
faster (an index, a cache), or to be asked less often.
"""

from __future__ import annotations

from reference_server.entry import Entry
from reference_server.faults._backend import with_backend

SCENARIO = "db"
CONNECTIONS = 64
TRUE_FINDINGS = ("downstream_wait", "low_cpu")
POSSIBLE_FINDINGS = ("slower_than_reference",)
FALSE_FINDINGS = (
    "blocking_event_loop",
    "connection_cap",
    "delayed_ack",
    "lock_contention",
    "pool_exhausted",
    "single_threaded",
    "too_few_workers",
)

QUERY_SECONDS = 0.05
# More than any request has to wait for.
POOL_CONNECTIONS = 1024


def apply(entry: Entry) -> Entry:
    """The entry with a slow database."""
    return with_backend(entry, QUERY_SECONDS, POOL_CONNECTIONS)
