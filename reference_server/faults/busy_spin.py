"""The event loop never sleeps: it looks for work again as soon as it has found none.

What a user sees: every core is busy before the first request comes. Under load little changes: the
latency is good, the machine is warm, and whatever else runs there has to share.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator

from reference_server.entry import Entry

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("busy_spin",)
POSSIBLE_FINDINGS = ("slower_than_reference",)
FALSE_FINDINGS = (
    "blocking_event_loop",
    "cpu_without_progress",
    "lock_contention",
    "low_cpu",
    "single_threaded",
    "worker_imbalance",
)


async def spin() -> None:
    """Asks the event loop for the next turn, for ever."""
    while True:
        await asyncio.sleep(0)


def apply(entry: Entry) -> Entry:
    """The entry that polls."""

    @contextlib.asynccontextmanager
    async def spinning(workers: int) -> AsyncIterator[None]:
        async with entry.resources(workers):
            task = asyncio.create_task(spin())
            try:
                yield
            finally:
                task.cancel()

    return dataclasses.replace(entry, resources=spinning)
