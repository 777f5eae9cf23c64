"""Every connection has a thread of its own that makes its answers.

What a user sees: as many threads as connections. With a few dozen all is well; with thousands the
scheduler and the lock of the interpreter are kept busy by changing from one to the other, and the
stacks take memory. (Here it ends at 4,096 threads, for the sake of the machine.)
"""

from __future__ import annotations

import asyncio
import dataclasses
from concurrent.futures import ThreadPoolExecutor

from reference_server.entry import Entry
from reference_server.faults import complete
from reference_server.faults._threads import COMPUTING
from reference_server.http11 import Connection
from reference_server.messages import Handler, Request, Response, Routes
from reference_server.shared import Shared

SCENARIO = "baseline"
CONNECTIONS = 512
TRUE_FINDINGS = ("thread_explosion",)
# The threads of a worker do wait for its GIL, and get it in no order.
POSSIBLE_FINDINGS = ("gil_bound", "slow_tail", "slower_than_reference", "unfair")
FALSE_FINDINGS = (
    "accept_bottleneck",
    "blocking_event_loop",
    "lock_contention",
    "memory_leak",
    "memory_per_connection",
    "single_threaded",
)

MOST_THREADS = 4096


class ThreadedConnection(Connection):
    """A connection with a thread, started by its first request."""

    __slots__ = ("_thread",)

    most_threads: int
    computing: frozenset[Handler]

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._thread: ThreadPoolExecutor | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes a thread, as long as there are some."""
        super().connection_made(transport)
        if len(self.shared.connections) <= self.most_threads:
            self._thread = ThreadPoolExecutor(1, "connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the thread."""
        super().connection_lost(exc)
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    def dispatch(self, request: Request) -> None:
        """Has the thread make the answer."""
        thread, handler = self._thread, request.handler
        if thread is not None and handler in self.computing:

            async def handed_over(request: Request) -> Response:
                loop = asyncio.get_running_loop()
                return complete(await loop.run_in_executor(thread, handler, request))

            request.handler = handed_over
        super().dispatch(request)


def handlers(routes: Routes) -> frozenset[Handler]:
    """The handlers that a thread may run."""
    return frozenset(route.handler for path in COMPUTING for route in routes[path].values())


def apply(entry: Entry) -> Entry:
    """The entry with a thread for each connection."""

    class BoundedConnection(ThreadedConnection):
        """The same, up to this worker's share of the limit."""

        __slots__ = ()

        most_threads = MOST_THREADS // entry.workers
        computing = handlers(entry.routes)

    return dataclasses.replace(entry, connection=BoundedConnection)
