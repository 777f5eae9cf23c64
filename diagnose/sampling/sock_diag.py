"""What the kernel's sock_diag is asked for TCP sockets, and what it answers.

The request is the older one of two (TCPDIAG_GETSOCK): it lists IPv4 and IPv6 in one walk over the
kernel's table, and takes a filter that lets both ends of a connection through.
Source: sock_diag(7), linux/inet_diag.h, net/ipv4/inet_diag.c.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

NETLINK_SOCK_DIAG = 4
ESTABLISHED, CLOSE_WAIT, LISTEN = 1, 8, 10
_GETSOCK, _BY_FAMILY = 18, 20
_ROWS = (_GETSOCK, _BY_FAMILY)
_NLM_F_REQUEST, _NLM_F_REQUEST_DUMP = 0x1, 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_KIND = struct.Struct("=HH")
# struct inet_diag_req: family, source and target length, extensions; id (48); states, dbs.
_REQUEST = struct.Struct("=4x2s46xII")
# struct inet_diag_msg: family, state, timer, retrans; id (48), which begins with the ports in
# network order; expires, rqueue, wqueue.
_MESSAGE = struct.Struct(">xB2xHH")
_QUEUES = struct.Struct("=II")
_STATE_AT, _PORTS_AT, _QUEUES_AT = 1, 4, 56
_BODY_SIZES = {kind: _QUEUES_AT + _QUEUES.size for kind in _ROWS} | {_NLMSG_ERROR: 4}
_REQ_BYTECODE = 1
_JUMP, _S_GE, _S_LE, _D_GE, _D_LE = 1, 2, 3, 4, 5
_OPERATION = struct.Struct("=BBH")


def listeners_request(port: int) -> bytes:
    """Asks for the listening sockets of a port."""
    return _request(1 << LISTEN, port, b"")


def connections_request(port: int) -> bytes:
    """Asks for the connections of a port, both ends where both are on this host."""
    return _request(1 << ESTABLISHED | 1 << CLOSE_WAIT, 0, _either_end(port))


def one_listener_request(answer: bytes) -> bytes:
    """Asks again for the listener that an answer tells of, at a third of the cost of a list.

    Empty where the answer is not about one listener. The kernel refuses it (ESTALE, ENOENT) when it
    is not the same one any more, because the answer holds its cookie.
    """
    if [state for state, *_ in parse_dump(answer)] != [LISTEN]:
        return b""
    at = _HEADER.size
    family, identity = answer[at : at + 1], answer[at + _PORTS_AT : at + _QUEUES_AT - 4]
    body = family + bytes([socket.IPPROTO_TCP, 0, 0]) + struct.pack("=I", 1 << LISTEN) + identity
    return _HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _NLM_F_REQUEST, 1, 0) + body


def _request(states: int, source: int, attribute: bytes) -> bytes:
    body = _REQUEST.pack(source.to_bytes(2, "big"), states, 0) + attribute
    return _HEADER.pack(_HEADER.size + len(body), _GETSOCK, _NLM_F_REQUEST_DUMP, 1, 0) + body


def _either_end(port: int) -> bytes:
    """The kernel's filter program for `source port is P, or target port is P`.

    Each comparison goes on by `yes` or `no` bytes; a socket passes that arrives exactly at the end.
    """
    comparisons = ((_S_GE, 20), (_S_LE, 12), (_D_GE, 20), (_D_LE, 12))
    rows = [_OPERATION.pack(code, 8, no) + _OPERATION.pack(0, 0, port) for code, no in comparisons]
    rows.insert(2, _OPERATION.pack(_JUMP, 4, 20))
    program = b"".join(rows)
    return _KIND.pack(_KIND.size + len(program), _REQ_BYTECODE) + program


def parse_dump(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """(state, port, peer's port, receive queue, send queue) of each socket in one datagram.

    Raises: OSError with the kernel's error, ValueError when the datagram is cut off.
    """
    position = 0
    while position < len(data):
        if len(data) - position < _HEADER.size:
            raise ValueError(f"netlink header cut off after {len(data) - position} bytes")
        length, kind, _, _, _ = _HEADER.unpack_from(data, position)
        body = position + _HEADER.size
        needed = _HEADER.size + _BODY_SIZES.get(kind, 0)
        if length < needed or position + length > len(data):
            raise ValueError(f"netlink message of {length} bytes in {len(data) - position}")
        if kind == _NLMSG_DONE:
            return
        if kind == _NLMSG_ERROR:
            (code,) = struct.unpack_from("=i", data, body)
            raise OSError(-code, "sock_diag")
        if kind in _ROWS:
            yield (
                *_MESSAGE.unpack_from(data, body),
                *_QUEUES.unpack_from(data, body + _QUEUES_AT),
            )
        position += (length + 3) & ~3


def is_last(data: bytes) -> bool:
    """The datagram ends the dump."""
    position = 0
    while position + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, position)
        if kind in (_NLMSG_DONE, _NLMSG_ERROR):
            return True
        position += max(_HEADER.size, (length + 3) & ~3)
    return False


@dataclass(slots=True)
class Tally:
    """Sums over the connections of a port, datagram after datagram. What the client's end holds is
    counted apart."""

    port: int
    established: int = 0
    close_wait: int = 0
    unread_sockets: int = 0
    unread_bytes: int = 0
    unsent_sockets: int = 0
    unsent_bytes: int = 0
    client_unsent_bytes: int = 0

    def add(self, data: bytes) -> bool:
        """Count a datagram in; False when it ends the dump.

        Raises: OSError with the kernel's error, ValueError when the datagram is cut off.
        """
        if self._add_uniform(data):
            return True
        for state, port, _, received, sent in parse_dump(data):
            if port != self.port:
                self.client_unsent_bytes += sent
                continue
            if state == CLOSE_WAIT:
                self.close_wait += 1
                # The peer's FIN counts as one byte of the queue.
                received = max(0, received - 1)
            self.established += state == ESTABLISHED
            self.unread_sockets += received > 0
            self.unread_bytes += received
            self.unsent_sockets += sent > 0
            self.unsent_bytes += sent
        return not is_last(data)

    def _add_uniform(self, data: bytes) -> bool:
        """Count in a datagram of established sockets only, whose rows have one length: columns are
        taken apart and summed at a fifth of the cost. False when it is no such datagram."""
        if len(data) < _HEADER.size + _QUEUES_AT + _QUEUES.size:
            return False
        length, kind, _, _, _ = _HEADER.unpack_from(data, 0)
        if kind not in _ROWS or length % 4 or not length or len(data) % length:
            return False
        count = len(data) // length
        words = memoryview(data).cast("I")
        step = length // 4
        if words[0::step].tolist().count(length) != count:
            return False
        heads = words[1::step].tolist()
        if heads.count(heads[0]) != count:
            return False
        if data[_HEADER.size + _STATE_AT :: length].count(ESTABLISHED) != count:
            return False
        ours = int.from_bytes(self.port.to_bytes(2, "big"), sys.byteorder)
        halves = memoryview(data).cast("H")
        ports = halves[(_HEADER.size + _PORTS_AT) // 2 :: length // 2].tolist()
        received = words[(_HEADER.size + _QUEUES_AT) // 4 :: step].tolist()
        sent = words[(_HEADER.size + _QUEUES_AT) // 4 + 1 :: step].tolist()
        self.established += ports.count(ours)
        if received.count(0) != count:
            for port, size in zip(ports, received, strict=True):
                if size and port == ours:
                    self.unread_sockets += 1
                    self.unread_bytes += size
        if sent.count(0) != count:
            for port, size in zip(ports, sent, strict=True):
                if size:
                    if port == ours:
                        self.unsent_sockets += 1
                        self.unsent_bytes += size
                    else:
                        self.client_unsent_bytes += size
        return True
