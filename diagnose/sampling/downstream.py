"""Connections that the server's processes made to others: databases, caches, other services.

The kernel is asked for all TCP connections but those of the port under test, with the times at
which each last sent and received data; which of them are the server's is told by the inode numbers
of its descriptors. A connection that has sent since it last received waits for an answer.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from math import gcd

from diagnose.model.samples import PeerSample
from diagnose.sampling.connections import (
    TcpSocket,
    UnixSocket,
    parse_tcp,
    parse_unix,
    tcp_request,
    unix_request,
)
from diagnose.sampling.sock_diag import ESTABLISHED, LISTEN, NETLINK_SOCK_DIAG, is_last

_TIMEOUT_S = 2
_DATAGRAM = 1 << 15


def summed(
    tcp: Iterable[TcpSocket],
    listening: set[int],
    unix: Iterable[UnixSocket],
    inodes: set[int],
    tick_ms: int = 0,
) -> tuple[PeerSample, ...]:
    """The connections of the server's descriptors to others, by address, most connections first.

    What was accepted is left out: its own end is a port that somebody listens on, or has the
    listener's name.
    """
    peers: dict[str, list[int]] = {}
    for each in tcp:
        if each.inode not in inodes or each.port in listening or each.state != ESTABLISHED:
            continue
        row = peers.setdefault(each.peer, [0, 0, 0])
        row[0] += 1
        row[1] += each.sent_ms < each.received_ms
        row[2] += each.sent_ms == each.received_ms
    rows = list(unix)
    names = {each.inode: each.name for each in rows}
    for local in rows:
        # Both ends in the server: a pipe between its own processes.
        own = local.inode not in inodes or local.name or local.peer in inodes
        if not own and names.get(local.peer):
            peers.setdefault(f"unix:{names[local.peer]}", [0, -1, -1])[0] += 1
    found = [PeerSample(address, row[0], row[1], row[2], tick_ms) for address, row in peers.items()]
    return tuple(sorted(found, key=lambda peer: (-peer.connections, peer.address)))


class DownstreamReader:
    """The connections to others in the network namespace of this process.

    Raises: OSError when the kernel has no sock_diag.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        # All times are multiples of the kernel's tick.
        self._tick_ms = 0
        self._netlink = _connected()

    def read(self, inodes: set[int]) -> tuple[PeerSample, ...]:
        """Of the sockets with these inode numbers, those that were connected to others.

        Raises: OSError or ValueError.
        """
        tcp: list[TcpSocket] = []
        listening: set[int] = set()
        for family in (socket.AF_INET, socket.AF_INET6):
            for data in self._dump(tcp_request(family, 1 << LISTEN)):
                listening.update([each.port for each in parse_tcp(data)])
            for data in self._dump(tcp_request(family, 1 << ESTABLISHED, self._port)):
                tcp += parse_tcp(data)
        for each in tcp:
            if each.sent_ms > 0 and each.received_ms > 0:
                self._tick_ms = gcd(self._tick_ms, each.sent_ms, each.received_ms)
        return summed(tcp, listening, self._read_unix(), inodes, self._tick_ms)

    def _read_unix(self) -> list[UnixSocket]:
        """Empty where the kernel was built without this part of sock_diag."""
        try:
            return [each for data in self._dump(unix_request()) for each in parse_unix(data)]
        except OSError:
            self.restart()
            return []

    def _dump(self, request: bytes) -> Iterator[bytes]:
        self._netlink.send(request)
        while True:
            data = self._netlink.recv(_DATAGRAM)
            yield data
            if is_last(data):
                return

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
    timeout = struct.pack("@ll", _TIMEOUT_S, 0)
    netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
    return netlink
