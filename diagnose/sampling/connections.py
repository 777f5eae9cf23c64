"""What the kernel's sock_diag tells of connections one by one: whose they are, and when they moved.

The newer of its two requests (SOCK_DIAG_BY_FAMILY), because it gives TCP_INFO with each socket.
Source: sock_diag(7), linux/inet_diag.h, linux/unix_diag.h, struct tcp_info in linux/tcp.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import msgspec

from diagnose.sampling.sock_diag import ESTABLISHED, LISTEN

_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
# struct inet_diag_req_v2: family, protocol, extensions; states; id.
_REQUEST = struct.Struct("=BBBxI48x")
# struct inet_diag_msg: family, state; id: ports in network order, addresses; ...; inode.
_PORTS = struct.Struct(">HH")
_STATE_AT, _PORTS_AT, _PEER_AT, _INODE_AT, _ATTRIBUTES_AT = 1, 4, 24, 68, 72
_ATTRIBUTE = struct.Struct("=HH")
_INFO = 2
# tcpi_last_data_sent, tcpi_last_ack_sent (always 0), tcpi_last_data_recv: milliseconds ago.
_LAST = struct.Struct("=III")
_LAST_AT = 44
_REQ_BYTECODE = 1
_JUMP, _S_GE, _S_LE, _D_GE, _D_LE = 1, 2, 3, 4, 5
_OPERATION = struct.Struct("=BBH")
# struct unix_diag_req: family, protocol; states, inode, what to show, cookie. unix_diag_msg:
# family, type, state; inode; cookie.
_UNIX_REQUEST = struct.Struct("=BBxxIII8x")
_UNIX_INODE_AT, _UNIX_ATTRIBUTES_AT = 4, 16
_SHOW_NAME, _SHOW_PEER = 0x1, 0x4
_UNIX_NAME, _UNIX_PEER = 0, 2


class TcpSocket(msgspec.Struct, frozen=True):
    """A TCP socket. sent_ms, received_ms: how long ago data was sent and received last; -1 where
    the kernel does not tell."""

    state: int
    port: int
    peer: str
    inode: int
    sent_ms: int = -1
    received_ms: int = -1


class UnixSocket(msgspec.Struct, frozen=True):
    """A connected unix socket; name: the path that it, or the listener that made it, is bound to.
    peer: the inode of the other end."""

    inode: int
    peer: int
    name: str


def tcp_request(family: int, states: int, without_port: int = 0) -> bytes:
    """Asks for TCP sockets in some states, of connections the times too."""
    listing = states == 1 << LISTEN
    extensions = 0 if listing else 1 << (_INFO - 1)
    body = _REQUEST.pack(family, socket.IPPROTO_TCP, extensions, states)
    body += b"" if listing else _neither_end(without_port)
    return _HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0) + body


def unix_request() -> bytes:
    """Asks for all connected unix sockets, with their names and other ends."""
    show = _SHOW_NAME | _SHOW_PEER
    body = _UNIX_REQUEST.pack(socket.AF_UNIX, 0, 1 << ESTABLISHED, 0, show)
    return _HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0) + body


def _neither_end(port: int) -> bytes:
    """The kernel's filter program for `neither source port nor target port is P`.

    Each comparison goes on by `yes` or `no` bytes, a jump always by `no`; a socket passes that
    arrives exactly at the end (40), and a jump to 44 drops it.
    """
    rows = [
        _OPERATION.pack(_S_GE, 8, 20) + _OPERATION.pack(0, 0, port),
        _OPERATION.pack(_S_LE, 8, 12) + _OPERATION.pack(0, 0, port),
        _OPERATION.pack(_JUMP, 4, 28),
        _OPERATION.pack(_D_GE, 8, 20) + _OPERATION.pack(0, 0, port),
        _OPERATION.pack(_D_LE, 8, 12) + _OPERATION.pack(0, 0, port),
        _OPERATION.pack(_JUMP, 4, 8),
    ]
    program = b"".join(rows)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(program), _REQ_BYTECODE) + program


def _messages(data: bytes, least: int) -> Iterator[tuple[int, int]]:
    """(start, end) of the body of each row in one datagram.

    Raises: OSError with the kernel's error, ValueError when the datagram is cut off.
    """
    position = 0
    while position < len(data):
        if len(data) - position < _HEADER.size:
            raise ValueError(f"netlink header cut off after {len(data) - position} bytes")
        length, kind, _, _, _ = _HEADER.unpack_from(data, position)
        body = position + _HEADER.size
        needed = least if kind == _BY_FAMILY else 4 if kind == _NLMSG_ERROR else 0
        if length < _HEADER.size + needed or position + length > len(data):
            raise ValueError(f"netlink message of {length} bytes in {len(data) - position}")
        if kind == _NLMSG_DONE:
            return
        if kind == _NLMSG_ERROR:
            (code,) = struct.unpack_from("=i", data, body)
            raise OSError(-code, "sock_diag")
        if kind == _BY_FAMILY:
            yield body, position + length
        position += (length + 3) & ~3


def _attributes(data: bytes, position: int, end: int) -> Iterator[tuple[int, bytes]]:
    while position + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < _ATTRIBUTE.size or position + length > end:
            raise ValueError(f"netlink attribute of {length} bytes in {end - position}")
        yield kind, data[position + _ATTRIBUTE.size : position + length]
        position += (length + 3) & ~3


def parse_tcp(data: bytes) -> Iterator[TcpSocket]:
    """The sockets of one datagram.

    Raises: OSError with the kernel's error, ValueError when the datagram is cut off.
    """
    for body, end in _messages(data, _ATTRIBUTES_AT):
        family, state = data[body], data[body + _STATE_AT]
        port, peer_port = _PORTS.unpack_from(data, body + _PORTS_AT)
        size = 4 if family == socket.AF_INET else 16
        address = data[body + _PEER_AT : body + _PEER_AT + size]
        (inode,) = struct.unpack_from("=I", data, body + _INODE_AT)
        sent = received = -1
        for kind, value in _attributes(data, body + _ATTRIBUTES_AT, end):
            if kind == _INFO and len(value) >= _LAST_AT + _LAST.size:
                sent, _, received = _LAST.unpack_from(value, _LAST_AT)
        yield TcpSocket(state, port, _shown(family, address, peer_port), inode, sent, received)


def _shown(family: int, address: bytes, port: int) -> str:
    host = socket.inet_ntop(family, address)
    host = host.removeprefix("::ffff:")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_unix(data: bytes) -> Iterator[UnixSocket]:
    """The sockets of one datagram.

    Raises: OSError with the kernel's error, ValueError when the datagram is cut off.
    """
    for body, end in _messages(data, _UNIX_ATTRIBUTES_AT):
        (inode,) = struct.unpack_from("=I", data, body + _UNIX_INODE_AT)
        name, peer = "", 0
        for kind, value in _attributes(data, body + _UNIX_ATTRIBUTES_AT, end):
            if kind == _UNIX_NAME:
                name = _path(value)
            elif kind == _UNIX_PEER and len(value) == 4:
                (peer,) = struct.unpack("=I", value)
        yield UnixSocket(inode, peer, name)


def _path(value: bytes) -> str:
    """A name as `ss -x` shows it: abstract ones, which begin with a zero byte, with an @."""
    mark = "@" if value[:1] == b"\0" else ""
    return mark + value.strip(b"\0").partition(b"\0")[0].decode(errors="replace")
