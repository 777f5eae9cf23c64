"""Only 50 connections are served at a time; the others are accepted, and not read.

What a user sees: with 50 connections all is well. With more the throughput stays the same, and the
requests on the other connections get no answer until one of the 50 is closed, which with keep-alive
is never: clients time out.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque

from reference_server.entry import Entry
from reference_server.http11 import Connection

SCENARIO = "baseline"
CONNECTIONS = 128
# Requests that hang are waited for; a shorter timeout makes the run shorter, and nothing else.
RUN_OPTIONS = ("--timeout", "2.5")
TRUE_FINDINGS = ("connection_cap", "hung")
POSSIBLE_FINDINGS = ("unfair",)
FALSE_FINDINGS = (
    "accept_bottleneck",
    "blocking_event_loop",
    "fd_exhausted",
    "keepalive_capped",
    "pool_exhausted",
    "slow_tail",
    "stalls",
)

MOST_CONNECTIONS = 50


class Gate:
    """The connections of one worker that are served, and those that wait for their turn."""

    __slots__ = ("_limit", "_served", "_waiting")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._served: set[Connection] = set()
        self._waiting: deque[tuple[Connection, asyncio.Transport]] = deque()

    def enter(self, connection: Connection, transport: asyncio.Transport) -> None:
        """Serves the connection, or stops to read from it."""
        if len(self._served) < self._limit:
            self._served.add(connection)
            return
        transport.pause_reading()
        self._waiting.append((connection, transport))
        # The event loop, which has the encrypted ones, starts to read after this.
        asyncio.get_running_loop().call_soon(self._hold, connection, transport)

    def _hold(self, connection: Connection, transport: asyncio.Transport) -> None:
        if connection not in self._served and not transport.is_closing():
            transport.pause_reading()

    def leave(self, connection: Connection) -> None:
        """Lets the next one in."""
        if connection not in self._served:
            self._waiting = deque(each for each in self._waiting if each[0] is not connection)
            return
        self._served.discard(connection)
        if self._waiting:
            following, transport = self._waiting.popleft()
            self._served.add(following)
            transport.resume_reading()


class GatedConnection(Connection):
    """A connection that is read when it is its turn."""

    __slots__ = ()

    gate: Gate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enters, or waits."""
        super().connection_made(transport)
        self.gate.enter(self, self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Makes room for another."""
        super().connection_lost(exc)
        self.gate.leave(self)


def apply(entry: Entry) -> Entry:
    """The entry whose workers together serve 50 connections."""

    class CappedConnection(GatedConnection):
        """A connection of one entry; each worker has its own copy of the gate after the fork."""

        __slots__ = ()

        gate = Gate(max(1, MOST_CONNECTIONS // entry.workers))

    return dataclasses.replace(entry, connection=CappedConnection)
