"""After 100,000 requests of a worker a lock is not given back, and nothing is answered any more.

What a user sees: all goes well for a while, then every request hangs, on idle cores. The process
lives, accepts connections and reads requests, so that a check of the port finds nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses

from reference_server.entry import Entry
from reference_server.faults import finished
from reference_server.http11 import Connection
from reference_server.messages import Handler, Request, Response
from reference_server.websocket import websocket

SCENARIO = "baseline"
CONNECTIONS = 64
# Requests that hang are waited for; a shorter timeout makes the run shorter, and nothing else.
RUN_OPTIONS = ("--timeout", "2.5")
TRUE_FINDINGS = ("hung",)
# From then on the cores idle and throughput is zero; how much of a window that is depends.
POSSIBLE_FINDINGS = ("low_cpu", "slow_tail", "slower_than_reference", "stalls", "unfair")
FALSE_FINDINGS = (
    "blocking_event_loop",
    "connection_cap",
    "crashed",
    "downstream_wait",
    "errors",
    "fd_exhausted",
    "pool_exhausted",
)

MOST_REQUESTS = 100_000


class Lock:
    """A lock that is given back until the last time."""

    __slots__ = ("_lock", "left")

    def __init__(self, requests: int) -> None:
        self.left = requests
        self._lock = asyncio.Lock()

    def hangs(self) -> bool:
        """Whether this request finds the lock taken; counts one more."""
        self.left -= 1
        return self.left < 0

    async def answer(self, handler: Handler, request: Request) -> Response:
        """The answer, once the lock is there."""
        await self._lock.acquire()
        response = await finished(handler, request)
        if not self.hangs():
            self._lock.release()
        return response


class HangingConnection(Connection):
    """A connection whose requests take the lock, as soon as it matters."""

    __slots__ = ()

    lock: Lock

    def dispatch(self, request: Request) -> None:
        """Answers, or waits for the lock."""
        # A connection that leaves HTTP has no answer that could come later.
        if self.lock.hangs() and request.handler is not websocket:
            handler = request.handler
            request.handler = lambda request: self.lock.answer(handler, request)
        super().dispatch(request)


def apply(entry: Entry) -> Entry:
    """The entry whose workers stop to answer."""

    class WaitingConnection(HangingConnection):
        """A connection of one entry; each worker counts for itself after the fork."""

        __slots__ = ()

        lock = Lock(MOST_REQUESTS)

    return dataclasses.replace(entry, connection=WaitingConnection)
