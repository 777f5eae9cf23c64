"""One process that serves: an event loop, its listening socket, and the way to stop."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvloop

from reference_server.entry import Entry
from reference_server.http2 import Http2Connection
from reference_server.shared import Shared
from reference_server.transport import PlainTransport, Poller

log = logging.getLogger(__name__)

# Requests under way get this long to finish after a signal to stop; the rest is cut off.
DRAIN_SECONDS = 1.0
DRAIN_POLL_SECONDS = 0.02
# Connections that wait must not keep those that are open waiting for long.
ACCEPTS_PER_TURN = 256


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket; `tls` is what its connections are encrypted with, if they are."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None
    http2: bool = False


def serve(entry: Entry, listeners: Sequence[Listener]) -> None:
    """Serves until SIGTERM or SIGINT arrives; returns when every connection is closed."""
    # libuv would start a kernel thread for its own file operations, of which there are none here:
    # a worker is one thread, and that is what a profiler should find.
    os.environ.setdefault("UV_USE_IO_URING", "0")
    entry.set_up()
    # What is alive now stays alive: the collector need not look at it again.
    gc.freeze()
    uvloop.run(_serve(entry, listeners))


async def _serve(entry: Entry, listeners: Sequence[Listener]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    shared = Shared(entry.routes)
    async with entry.resources(entry.workers):
        poller = Poller(loop)
        acceptors = [
            Acceptor(
                loop,
                poller,
                each,
                partial(Http2Connection if each.http2 else entry.connection, shared),
            )
            for each in listeners
        ]
        await stop.wait()
        for acceptor in acceptors:
            acceptor.close()
        await _drain(shared)
        poller.close()


class Acceptor:
    """Takes all connections that wait, whenever there are some.

    The loop's own server takes one connection each time around (strace shows it). With hundreds of
    busy connections a turn lasts milliseconds, so that clients which open connections all the time
    wait in the accept queue for tenths of a second.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        poller: Poller,
        listener: Listener,
        factory: Callable[[], asyncio.BufferedProtocol],
    ) -> None:
        self._loop = loop
        self._poller = poller
        self._socket = listener.socket
        self._tls = listener.tls
        self._factory = factory
        # A task that nothing refers to may be collected before it is done.
        self._starting: set[asyncio.Task[Any]] = set()
        # Accepted sockets inherit it (tcp(7) does not say so; Linux does).
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poller.add(self._socket.fileno(), self._accept)

    def _accept(self, event: int) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ECONNABORTED):
                    raise
                # Out of descriptors: the queue keeps the client until a connection is closed.
                return
            sock.setblocking(False)
            if self._tls is None:
                PlainTransport(self._poller, sock, self._factory())
            else:
                self._start_tls(sock)

    def _start_tls(self, sock: socket.socket) -> None:
        task = self._loop.create_task(
            self._loop.connect_accepted_socket(self._factory, sock, ssl=self._tls)
        )
        self._starting.add(task)
        task.add_done_callback(self._started)

    def _started(self, task: asyncio.Task[Any]) -> None:
        self._starting.discard(task)
        # No handshake came about, or the client is gone: that is nothing to complain about.
        if not task.cancelled() and (error := task.exception()):
            log.debug("a connection did not start: %s", error)

    def close(self) -> None:
        """No more connections."""
        self._poller.remove(self._socket.fileno())
        self._socket.close()


async def _drain(shared: Shared) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DRAIN_SECONDS
    while shared.connections and loop.time() < deadline:
        for connection in list(shared.connections):
            connection.drain()
        await asyncio.sleep(DRAIN_POLL_SECONDS)
    for connection in list(shared.connections):
        connection.abort()
