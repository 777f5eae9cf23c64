"""One process that serves: an event loop, its listening socket, and the way to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket

import uvloop

from reference_server.entry import Entry
from reference_server.http11 import Shared

# Requests under way get this long to finish after a signal to stop; the rest is cut off.
DRAIN_SECONDS = 1.0
DRAIN_POLL_SECONDS = 0.02


def serve(entry: Entry, listener: socket.socket) -> None:
    """Serves until SIGTERM or SIGINT arrives; returns when every connection is closed."""
    # libuv would start a kernel thread for file operations, of which there are none here: a
    # worker is one thread, and that is what a profiler should find.
    os.environ.setdefault("UV_USE_IO_URING", "0")
    entry.set_up()
    # What is alive now stays alive: the collector need not look at it again.
    gc.freeze()
    uvloop.run(_serve(entry, listener))


async def _serve(entry: Entry, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    shared = Shared(entry.routes)
    server = await loop.create_server(
        lambda: entry.connection(shared), sock=listener, backlog=entry.backlog
    )
    await stop.wait()
    server.close()
    await _drain(shared)


async def _drain(shared: Shared) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DRAIN_SECONDS
    while shared.connections and loop.time() < deadline:
        for connection in list(shared.connections):
            connection.drain()
        await asyncio.sleep(DRAIN_POLL_SECONDS)
    for connection in list(shared.connections):
        connection.abort()
