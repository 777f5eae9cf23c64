"""TCP sockets of one port: listeners at little cost, and all connections at that of a dump."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from diagnose.model.samples import ListenerSample, SocketSample
from diagnose.sampling.sock_diag import (
    NETLINK_SOCK_DIAG,
    Tally,
    connections_request,
    is_last,
    listeners_request,
    parse_dump,
)

# The kernel fills datagrams of 32 KiB at most.
_DATAGRAM = 1 << 16
_TIMEOUT_S = 2.0


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
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._netlink.settimeout(_TIMEOUT_S)

    def read_listeners(self) -> ListenerSample:
        """The listening sockets as they are now.

        Raises: OSError or ValueError.
        """
        rows: list[tuple[int, int]] = []
        for data in self._ask(self._listeners):
            rows += [(queue, backlog) for _, _, _, queue, backlog in parse_dump(data)]
            if is_last(data):
                break
        return fullest(rows)

    def read(self, listeners: ListenerSample) -> SocketSample:
        """All connections as they are now, beside listeners that were read just before.

        Raises: OSError or ValueError.
        """
        tally = Tally(self._port)
        for data in self._ask(self._connections):
            if not tally.add(data):
                break
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

    def _ask(self, request: bytes) -> Iterator[bytes]:
        self._netlink.send(request)
        while True:
            yield self._netlink.recv(_DATAGRAM)

    def close(self) -> None:
        """Give the descriptor back."""
        self._netlink.close()
