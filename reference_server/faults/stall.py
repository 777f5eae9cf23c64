"""Every four seconds the whole server stops to answer for one second, all workers at once.

Requests are read and held back, as by a job that holds what every request needs.

What a user sees: a good median, good averages, and a second in which nothing comes back. With one
load and one average per run it is not seen at all.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time

from reference_server.entry import Entry
from reference_server.faults import finished
from reference_server.http11 import Connection
from reference_server.messages import Handler, Request, Response
from reference_server.websocket import websocket

SCENARIO = "baseline"
CONNECTIONS = 64
# Long enough for one whole stall, whenever it begins.
RUN_OPTIONS = ("-d", "6")
TRUE_FINDINGS = ("stalls",)
# Few requests are sent into a stall, each of them a second late; the cores idle meanwhile.
POSSIBLE_FINDINGS = ("low_cpu", "slow_tail", "slower_than_reference")
FALSE_FINDINGS = (
    "blocking_event_loop",
    "cpu_quota",
    "downstream_wait",
    "errors",
    "gc_pressure",
    "hung",
    "lock_contention",
    "unfair",
)

PERIOD_SECONDS = 4.0
STALL_SECONDS = 1.0


def stalled_for(now: float) -> float:
    """How long a stall still lasts; 0 when there is none. By a clock that all workers share."""
    return max(0.0, STALL_SECONDS - now % PERIOD_SECONDS)


class StallingConnection(Connection):
    """A connection that answers between the stalls."""

    __slots__ = ()

    def dispatch(self, request: Request) -> None:
        """Answers, or waits for the end of the stall."""
        wait = stalled_for(time.monotonic())
        # A connection that leaves HTTP has no answer that could come later.
        if wait > 0 and request.handler is not websocket:
            handler = request.handler
            request.handler = lambda request: late(handler, request, wait)
        super().dispatch(request)


async def late(handler: Handler, request: Request, wait: float) -> Response:
    """The answer of the handler, after a time."""
    await asyncio.sleep(wait)
    return await finished(handler, request)


def apply(entry: Entry) -> Entry:
    """The entry that stalls."""
    return dataclasses.replace(entry, connection=StallingConnection)
