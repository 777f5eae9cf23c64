"""Something of every request is kept for ever: a list that only grows.

What a user sees: memory grows with the requests served, whatever the number of connections, and is
not given back when the load ends. The same load again makes it grow as much again, until the
process is restarted or killed. (Here it ends at 2 GiB, for the sake of the machine.)
"""

from __future__ import annotations

from reference_server.entry import Entry
from reference_server.faults import Answer, wrap_handlers
from reference_server.messages import Handler, Request

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("memory_leak",)
# It is a blow-up as soon as there was time for a gigabyte.
POSSIBLE_FINDINGS = ("memory_blowup", "slower_than_reference")
FALSE_FINDINGS = (
    "body_buffered",
    "gc_pressure",
    "memory_per_connection",
    "memory_retained",
    "quadratic_body",
)

RECORD_BYTES = 1024
MOST_BYTES = 2 * 1024**3


def remembering(handler: Handler, records: list[bytes], most_records: int) -> Handler:
    """The handler, with a record of every request added to the list."""

    def remember(request: Request) -> Answer:
        if len(records) < most_records:
            records.append(request.query.ljust(RECORD_BYTES, b"\0"))
        return handler(request)

    return remember


def apply(entry: Entry) -> Entry:
    """The entry that remembers every request."""
    # Made before the workers are forked: each of them has a list of its own.
    records: list[bytes] = []
    most_records = MOST_BYTES // RECORD_BYTES // entry.workers
    return wrap_handlers(entry, lambda handler: remembering(handler, records, most_records))
