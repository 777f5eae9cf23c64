"""Every connection has a buffer of 1 MiB of its own, from the moment that it is accepted.

What a user sees: memory grows with the number of connections, whether they send anything or not,
and is given back when they close. 64 go unnoticed, 4,096 need 4 GiB. (Here it ends at 4 GiB, for
the sake of the machine.)
"""

from __future__ import annotations

import asyncio
import dataclasses
import mmap

from reference_server.entry import Entry
from reference_server.http11 import Connection
from reference_server.shared import Shared

SCENARIO = "baseline"
CONNECTIONS = 256
TRUE_FINDINGS = ("memory_per_connection",)
POSSIBLE_FINDINGS = ("memory_blowup",)
FALSE_FINDINGS = ("body_buffered", "memory_leak", "memory_retained", "thread_explosion")

BUFFER_BYTES = 1024 * 1024
MOST_BYTES = 4 * 1024**3


class HeavyConnection(Connection):
    """A connection with a buffer of its own, every page of it touched."""

    __slots__ = ("own_buffer",)

    most_connections: int

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self.own_buffer: mmap.mmap | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes a buffer."""
        super().connection_made(transport)
        if len(self.shared.connections) <= self.most_connections:
            # Mapped, not allocated: what the allocator does with freed memory is another matter.
            self.own_buffer = mmap.mmap(-1, BUFFER_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            self.own_buffer.write(bytes(BUFFER_BYTES))

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives the buffer back."""
        super().connection_lost(exc)
        if self.own_buffer is not None:
            self.own_buffer.close()
            self.own_buffer = None


def apply(entry: Entry) -> Entry:
    """The entry whose connections cost a megabyte each."""

    class BoundedConnection(HeavyConnection):
        """The same, up to this worker's share of the limit."""

        __slots__ = ()

        most_connections = MOST_BYTES // BUFFER_BYTES // entry.workers

    return dataclasses.replace(entry, connection=BoundedConnection)
