"""Plain TCP connections: one epoll for all of them, read and written without a detour.

The event loop of uvloop is made for callbacks one by one. Here one call of it brings every
connection that has something to read, and each is read, answered and written to before the next.
The interface is that of asyncio's transports, so that the same protocols serve TLS connections,
which stay with uvloop.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from collections.abc import Callable
from typing import Any, cast

log = logging.getLogger(__name__)

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
GONE = select.EPOLLHUP | select.EPOLLERR
EVENTS_PER_POLL = 256
# While connections are answered others become ready, and asking again is cheaper than a turn of the
# event loop. Not for ever: timers, TLS and databases wait in that loop.
POLLS_PER_TURN = 8


class Poller:
    """An epoll of its own, watched by the event loop as one descriptor."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._wake: dict[int, Callable[[int], None]] = {}
        loop.add_reader(self._epoll.fileno(), self._turn)

    def add(self, descriptor: int, wake: Callable[[int], None]) -> None:
        """Calls `wake` with the events whenever there is something to read."""
        self._wake[descriptor] = wake
        self._epoll.register(descriptor, READ)

    def change(self, descriptor: int, events: int) -> None:
        """Watches for other events; its end is always told."""
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Forgets a descriptor, which is to be closed: that takes it out of the epoll as well."""
        del self._wake[descriptor]

    def _turn(self) -> None:
        wake = self._wake
        for _ in range(POLLS_PER_TURN):
            events = self._epoll.poll(0, EVENTS_PER_POLL)
            if not events:
                return
            for descriptor, event in events:
                # One that was answered before it may have ended this one.
                if (woken := wake.get(descriptor)) is not None:
                    woken(event)

    def close(self) -> None:
        """Watches nothing any more."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()


class PlainTransport(asyncio.Transport):
    """One accepted connection, its socket not blocking; what the client does not take is kept."""

    __slots__ = (
        "_buffer",
        "_closing",
        "_descriptor",
        "_gone",
        "_poller",
        "_protocol",
        "_reading",
        "_receive",
        "_send",
        "_socket",
        "_unsent",
    )

    def __init__(
        self, poller: Poller, connection: socket.socket, protocol: asyncio.BufferedProtocol
    ) -> None:
        self._poller = poller
        self._socket = connection
        self._descriptor = connection.fileno()
        self._receive, self._send = connection.recv_into, connection.send
        self._protocol = protocol
        # All reads of a protocol go to the same place.
        self._buffer = protocol.get_buffer(-1)
        self._unsent: bytes | bytearray = b""
        self._reading = True
        self._closing = False
        self._gone = False
        poller.add(self._descriptor, self._woken)
        protocol.connection_made(self)

    # ------------------------------------------------------------------- called by the poller

    def _woken(self, event: int) -> None:
        if (event != READ or not self._reading) and not self._readable(event):
            return
        try:
            received = self._receive(self._buffer)
            if received:
                self._protocol.buffer_updated(received)
            else:
                # No endpoint has a use for a client that has stopped sending.
                self.close()
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
        except Exception as error:  # One connection must not take the others with it.
            log.exception("a connection failed")
            self._lose(error)

    def _readable(self, event: int) -> bool:
        """Does what else there is to do; whether there is something to read as well."""
        if event & WRITE:
            self._send_rest()
        if event & READ and self._reading:
            return True
        if event & GONE and not self._gone:
            # Told even while nothing is read; there is nobody left to write to.
            self._lose(None)
        return False

    def _send_rest(self) -> None:
        try:
            sent = self._send(self._unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        self._unsent = self._unsent[sent:]
        if self._unsent:
            return
        if self._closing:
            self._lose(None)
            return
        self._watch()
        self._protocol.resume_writing()

    def _watch(self) -> None:
        if not self._gone:
            events = (READ if self._reading else 0) | (WRITE if self._unsent else 0)
            self._poller.change(self._descriptor, events)

    def _lose(self, error: Exception | None) -> None:
        if self._gone:
            return
        self._gone = self._closing = True
        self._reading = False
        self._poller.remove(self._descriptor)
        self._socket.close()
        self._protocol.connection_lost(error)

    # ----------------------------------------------------------------- called by the protocol

    def write(self, data: Any) -> None:
        """Sends now what can be sent now, keeps the rest and asks the protocol to wait."""
        if self._gone:
            return
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lose(error)
            return
        if sent < len(data):
            self._unsent = bytearray(memoryview(data)[sent:])
            self._watch()
            self._protocol.pause_writing()

    def pause_reading(self) -> None:
        """Leaves what arrives in the kernel."""
        if self._reading:
            self._reading = False
            self._watch()

    def resume_reading(self) -> None:
        """Reads on."""
        if not self._reading and not self._closing:
            self._reading = True
            self._watch()

    def is_closing(self) -> bool:
        """Whether the connection is closed, or will be when its last bytes are sent."""
        return self._closing

    def close(self) -> None:
        """Ends the connection when everything is sent."""
        if not self._unsent:
            self._lose(None)
            return
        self._closing = True
        self.pause_reading()

    def abort(self) -> None:
        """Ends the connection now."""
        self._unsent = b""
        self._lose(None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Leaves the connection to another protocol."""
        self._protocol = cast("asyncio.BufferedProtocol", protocol)
        self._buffer = self._protocol.get_buffer(-1)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """What serves the connection."""
        return self._protocol

    def get_write_buffer_size(self) -> int:
        """Bytes that the client has not taken."""
        return len(self._unsent)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`socket`, as asyncio's transports have it."""
        return self._socket if name == "socket" else default
