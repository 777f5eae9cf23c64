"""The garbage collector is run after each request, over a large heap that is always the same.

What a user sees: the cores are busy, and half of it or more is the collector's, which finds
nothing. The time of a request follows the size of what the server holds, not what it does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import AsyncIterator

from reference_server.dataset import make_items
from reference_server.entry import Entry
from reference_server.faults import Answer, wrap_handlers
from reference_server.messages import Handler, Request

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("gc_pressure",)
POSSIBLE_FINDINGS = ("slower_than_reference",)
FALSE_FINDINGS = (
    "exception_storm",
    "low_cpu",
    "memory_leak",
    "recompute_per_request",
    "single_threaded",
)

# Each has three containers that the collector looks at.
HELD_ITEMS = 10_000


def collecting(handler: Handler) -> Handler:
    """The handler, with a collection before its answer goes out."""

    def cleaning(request: Request) -> Answer:
        answer = handler(request)
        gc.collect()
        return answer

    return cleaning


def apply(entry: Entry) -> Entry:
    """The entry that cleans up all the time."""

    @contextlib.asynccontextmanager
    async def holding(workers: int) -> AsyncIterator[None]:
        # Made here, because what is there before a worker serves is hidden from the collector.
        held = make_items(HELD_ITEMS)
        async with entry.resources(workers):
            yield
        held.clear()

    return dataclasses.replace(wrap_handlers(entry, collecting), resources=holding)
