"""Connections one by one: datagrams made by hand, cut off anywhere; whose they are."""

from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

import pytest

from diagnose.model.samples import PeerSample
from diagnose.sampling.connections import TcpSocket, UnixSocket, parse_tcp, parse_unix
from diagnose.sampling.downstream import DownstreamReader, summed

ERROR, DONE, BY_FAMILY = 2, 3, 20
ESTABLISHED, LISTEN = 1, 10


def message(kind: int, body: bytes = b"") -> bytes:
    """A netlink message, padded to four bytes as the kernel does. Source: netlink(7)."""
    return struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 4242) + body + bytes(-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def times(sent_ms: int, received_ms: int) -> bytes:
    """A TCP_INFO attribute (kind 2): eight bytes, nine words, then the times."""
    words = [7] * 9 + [sent_ms, 0, received_ms] + [7] * 12
    return attribute(2, b"\1" * 8 + struct.pack(f"={len(words)}I", *words))


def tcp(
    attributes: bytes = b"",
    *,
    address: str = "10.0.0.7",
    port: int = 40000,
    peer: int = 5432,
    inode: int = 99,
    state: int = ESTABLISHED,
) -> bytes:
    """A struct inet_diag_msg of a connection to address:peer."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    body = struct.pack("=BBBB", family, state, 0, 0) + struct.pack(">HH", port, peer)
    body += b"\xee" * 16 + socket.inet_pton(family, address).ljust(16, b"\0") + b"\xee" * 12
    return message(BY_FAMILY, body + struct.pack("=IIIII", 77, 1, 2, 88, inode) + attributes)


def unix(inode: int, name: bytes | None = None, peer: int | None = None) -> bytes:
    """A struct unix_diag_msg."""
    body = struct.pack("=BBBBIII", socket.AF_UNIX, socket.SOCK_STREAM, ESTABLISHED, 0, inode, 1, 2)
    body += attribute(0, name) if name is not None else b""
    body += attribute(2, struct.pack("=I", peer)) if peer is not None else b""
    return message(BY_FAMILY, body)


def test_a_connection_with_its_times() -> None:
    other = attribute(1, b"\0" * 16)
    data = tcp(other + times(3, 250)) + tcp(address="::1", peer=6379, inode=7) + message(DONE)
    assert list(parse_tcp(data)) == [
        TcpSocket(ESTABLISHED, 40000, "10.0.0.7:5432", 99, 3, 250),
        TcpSocket(ESTABLISHED, 40000, "[::1]:6379", 7, -1, -1),
    ]


def test_an_address_of_ipv4_in_ipv6_is_shown_as_ipv4() -> None:
    (seen,) = parse_tcp(tcp(address="::ffff:127.0.0.1"))
    assert seen.peer == "127.0.0.1:5432"


def test_a_short_tcp_info_of_an_old_kernel_tells_no_times() -> None:
    (seen,) = parse_tcp(tcp(attribute(2, b"\1" * 50)))
    assert (seen.sent_ms, seen.received_ms) == (-1, -1)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"/run/db.sock\0", "/run/db.sock"),
        (b"\0abstract", "@abstract"),
        (b"", ""),
        (None, ""),
    ],
)
def test_unix_names(name: bytes | None, shown: str) -> None:
    assert list(parse_unix(unix(5, name, 6) + message(DONE))) == [UnixSocket(5, 6, shown)]


@pytest.mark.parametrize("parse", [parse_tcp, parse_unix])
def test_an_error_of_the_kernel_is_raised(parse: object) -> None:
    data = message(ERROR, struct.pack("=i", -errno.ENOENT) + b"\0" * 16)
    with pytest.raises(OSError, match="sock_diag") as raised:
        list(parse(data))  # type: ignore[operator]
    assert raised.value.errno == errno.ENOENT


def test_a_datagram_cut_off_anywhere_is_refused_or_ends_between_rows() -> None:
    data = tcp(times(3, 250)) + tcp(times(1, 2), inode=5)
    whole = list(parse_tcp(data))
    for cut in range(len(data)):
        seen: list[TcpSocket] = []
        with suppress(ValueError):
            seen.extend(parse_tcp(data[:cut]))
        assert seen == whole[: len(seen)]
    data = unix(5, b"/run/a\0", 6) + unix(6, None, 5)
    for cut in range(len(data)):
        with suppress(ValueError):
            assert list(parse_unix(data[:cut])) == list(parse_unix(data))[: cut and 1]


def test_an_attribute_longer_than_its_row_is_refused() -> None:
    with pytest.raises(ValueError, match="attribute"):
        list(parse_tcp(tcp(struct.pack("=HH", 400, 2) + bytes(8))))


# -- whose they are -----------------------------------------------------------------------------


def connection(
    inode: int, sent: int, received: int, peer: str = "db:1", port: int = 40000
) -> TcpSocket:
    return TcpSocket(ESTABLISHED, port, peer, inode, sent, received)


def test_only_the_servers_connections_to_others_count() -> None:
    tcp = [
        connection(1, 3, 250),  # asked, waits
        connection(2, 250, 3),  # answered
        connection(3, 4, 4),  # both in one tick
        connection(4, 3, 250),  # somebody else's
        connection(5, 3, 250, port=9000),  # accepted: 9000 is listened on
        connection(6, 3, 250, peer="cache:2"),
    ]
    assert summed(tcp, {9000}, [], {1, 2, 3, 5, 6}) == (
        PeerSample("db:1", 3, 1, 1),
        PeerSample("cache:2", 1, 1, 0),
    )


def test_unix_sockets_are_named_after_the_other_end() -> None:
    unix = [
        UnixSocket(1, 2, ""),  # ours, connected to a database
        UnixSocket(2, 1, "/run/db"),
        UnixSocket(3, 4, ""),  # a pair within the server
        UnixSocket(4, 3, ""),
        UnixSocket(5, 6, "/run/own"),  # accepted by the server
        UnixSocket(6, 5, ""),
    ]
    assert summed([], set(), unix, {1, 3, 4, 5}) == (PeerSample("unix:/run/db", 1, -1, -1),)


def test_nothing_of_the_servers_is_nothing() -> None:
    assert summed([connection(1, 1, 2)], set(), [UnixSocket(1, 2, "")], set()) == ()


# -- a real kernel ------------------------------------------------------------------------------


def inode_of(sock: socket.socket) -> int:
    return os.fstat(sock.fileno()).st_ino


def test_a_connection_of_this_process_and_not_the_one_under_test() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as database,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(database.getsockname()) as asked,
        socket.create_connection(server.getsockname()) as client,
    ):
        accepted, _ = database.accept()
        port = server.getsockname()[1]
        reader = DownstreamReader(port)
        inodes = {inode_of(each) for each in (asked, client, accepted, database)}
        seen = reader.read(inodes)
        reader.close()
        accepted.close()
        asked_for = "{}:{}".format(*database.getsockname())
    assert [(peer.address, peer.connections) for peer in seen] == [(asked_for, 1)]


def test_a_unix_connection_to_another_process(tmp_path: Path) -> None:
    path = str(tmp_path / "db.sock")
    with socket.socket(socket.AF_UNIX) as database, socket.socket(socket.AF_UNIX) as asked:
        database.bind(path)
        database.listen()
        asked.connect(path)
        accepted, _ = database.accept()
        reader = DownstreamReader(1)
        seen = reader.read({inode_of(asked)})
        reader.close()
        accepted.close()
    assert seen == (PeerSample(f"unix:{path}", 1, -1, -1),)
