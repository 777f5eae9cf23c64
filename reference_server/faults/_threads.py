"""Handlers that run in a pool of threads instead of the thread of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from reference_server.entry import Entry
from reference_server.faults import complete, wrap_handlers
from reference_server.messages import Handler, Request, Response

# What only computes. The others wait in a way of their own, or belong to the thread of the loop:
# SQLite's connection does, and a WebSocket connection has no thread to be handed to.
COMPUTING = (
    b"/pipeline",
    b"/baseline11",
    b"/baseline2",
    b"/json",
    b"/json/",
    b"/compression",
    b"/upload",
    b"/static/",
)


def in_threads(
    entry: Entry, executor: Callable[[], Executor], wrap: Callable[[Handler], Handler] | None = None
) -> Entry:
    """The entry whose computing handlers, wrapped first, run in the executor of the worker."""

    def threaded(handler: Handler) -> Handler:
        inner = wrap(handler) if wrap else handler

        async def handed_over(request: Request) -> Response:
            loop = asyncio.get_running_loop()
            return complete(await loop.run_in_executor(executor(), inner, request))

        return handed_over

    for path in COMPUTING:
        entry = wrap_handlers(entry, threaded, path=path)
    return entry
