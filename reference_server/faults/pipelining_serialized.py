"""Pipelined requests are answered one at a time, each one 5 ms after the one before.

The server answers the first request of a read at once and leaves the rest to a timer, as one does
that looks at what is left in its buffer only when it polls.

What a user sees: without pipelining all is well; with it, a connection gets 200 responses per
second however deep the pipeline, and the cores idle.
"""

from __future__ import annotations

import asyncio
import dataclasses

from reference_server.entry import Entry
from reference_server.faults import finished
from reference_server.http11 import Connection
from reference_server.messages import Handler, Request, Response
from reference_server.shared import Shared
from reference_server.websocket import websocket

SCENARIO = "pipelined"
CONNECTIONS = 64
TRUE_FINDINGS = ("pipelining_serialized", "low_cpu")
POSSIBLE_FINDINGS = ("slower_than_reference",)
FALSE_FINDINGS = (
    "blocking_event_loop",
    "connection_cap",
    "delayed_ack",
    "downstream_wait",
    "lock_contention",
    "single_threaded",
    "slow_tail",
)

TICK_SECONDS = 0.005


class SerialConnection(Connection):
    """A connection that answers one request, and the next one at the next tick."""

    __slots__ = ("_answered",)

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._answered = False  # In this turn of the loop.

    def dispatch(self, request: Request) -> None:
        """Answers the first request of a turn, and has the others wait."""
        # A connection that leaves HTTP has no answer that could come later.
        if self._answered and request.handler is not websocket:
            handler = request.handler
            request.handler = lambda request: self._later(handler, request)
        else:
            self._mark()
        super().dispatch(request)

    async def _later(self, handler: Handler, request: Request) -> Response:
        await asyncio.sleep(TICK_SECONDS)
        # What waits behind this request is dispatched in the same turn.
        self._mark()
        return await finished(handler, request)

    def _mark(self) -> None:
        self._answered = True
        asyncio.get_running_loop().call_soon(self._unmark)

    def _unmark(self) -> None:
        self._answered = False


def apply(entry: Entry) -> Entry:
    """The entry that answers one pipelined request for each tick."""
    return dataclasses.replace(entry, connection=SerialConnection)
