"""TCP sockets of one port: listeners at little cost, and all connections at that of a dump."""

from __future__ import annotations

import contextlib
import socket
import struct

from diagnose.model.samples import ListenerSample, SocketSample
from diagnose.sampling.sock_diag import (
    NETLINK_SOCK_DIAG,
    Tally,
    connections_request,
    is_last,
    listeners_request,
    one_listener_request,
    parse_dump,
)

# The kernel fills datagrams of 32 KiB at most, less what it needs itself.
_DATAGRAM = 1 << 15
_TIMEOUT_S = 2
# A single listener is asked for by itself; every so many times all are listed.
LIST_EVERY = 10


def fullest(rows: list[tuple[int, int]]) -> ListenerSample:
    """(accept queue, backlog) of each listener as one row."""
    queue, backlog = max(rows, default=(0, 0))
    return ListenerSample(queue, backlog, len(rows), sum(length for length, _ in rows))


class SocketReader:
    """The sockets of one port in the network namespace of this process, IPv4 and IPv6.

    Raises: OSError when the kernel has no sock_diag.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listeners = listeners_request(port)
        self._connections = connections_request(port)
        self._buffer = memoryview(bytearray(_DATAGRAM))
        self._turn = 0
        self._only = b""
        self._answer = b""
        self._seen = fullest([])
        self._netlink = _connected()

    def read_listeners(self) -> ListenerSample:
        """The listening sockets as they are now.

        Raises: OSError or ValueError.
        """
        self._turn += 1
        if self._only and self._turn % LIST_EVERY:
            self._netlink.send(self._only)
            answer = self._receive()
            with contextlib.suppress(OSError):
                return self._seen_in(answer)
        # There is none, or several, or another one than before.
        self._netlink.send(self._listeners)
        answer = b""
        while True:
            data = self._receive()
            answer += data
            if is_last(data):
                break
        self._only = one_listener_request(answer)
        return self._seen_in(answer)

    def _seen_in(self, answer: bytes) -> ListenerSample:
        # Most often nothing has changed since the last time.
        if answer != self._answer:
            rows = [(queue, backlog) for _, _, _, queue, backlog in parse_dump(answer)]
            self._seen, self._answer = fullest(rows), answer
        return self._seen

    def read(self, listeners: ListenerSample) -> SocketSample:
        """All connections as they are now, beside listeners that were read just before.

        Raises: OSError or ValueError.
        """
        tally = Tally(self._port)
        self._netlink.send(self._connections)
        while tally.add(self._receive()):
            pass
        return SocketSample(
            tally.established,
            tally.unread_sockets,
            tally.unread_bytes,
            tally.unsent_bytes,
            tally.client_unsent_bytes,
            listeners.accept_queue,
            listeners.accept_backlog,
            tally.unsent_sockets,
            tally.close_wait,
        )

    def _receive(self) -> bytes:
        """One datagram. A buffer of this size that is made and dropped each time makes the
        allocator give memory back to the kernel and fetch it again."""
        return self._buffer[: self._netlink.recv_into(self._buffer)].tobytes()

    def restart(self) -> None:
        """After an error: what is left of the answer does not come with the next one.

        Raises: OSError.
        """
        self._netlink.close()
        self._netlink = _connected()

    def close(self) -> None:
        """Give the descriptor back."""
        self._netlink.close()


def _connected() -> socket.socket:
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
    # Not settimeout: with it Python polls before every call.
    timeout = struct.pack("@ll", _TIMEOUT_S, 0)
    netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
    return netlink
