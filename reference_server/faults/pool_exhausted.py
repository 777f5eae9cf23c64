"""Each worker has two connections to its database: all requests but two wait for one.

A query takes 10 ms in the database, and would take no longer if more of them ran at once.

What a user sees: throughput that stays the same from a handful of connections on (200 per second
and worker), latency that grows with the connections, and idle cores in the server and in the
database.
"""

from __future__ import annotations

from reference_server.entry import Entry
from reference_server.faults._backend import with_backend

SCENARIO = "db"
CONNECTIONS = 64
TRUE_FINDINGS = ("pool_exhausted", "low_cpu")
# The connections that there are do wait for the database, all the time.
POSSIBLE_FINDINGS = ("downstream_wait", "slower_than_reference", "unfair")
FALSE_FINDINGS = (
    "blocking_event_loop",
    "connection_cap",
    "delayed_ack",
    "gil_bound",
    "lock_contention",
    "single_threaded",
    "too_few_workers",
)

QUERY_SECONDS = 0.01
POOL_CONNECTIONS = 2


def apply(entry: Entry) -> Entry:
    """The entry with a small pool."""
    return with_backend(entry, QUERY_SECONDS, POOL_CONNECTIONS)
