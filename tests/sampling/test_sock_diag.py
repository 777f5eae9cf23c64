"""Netlink datagrams of sock_diag: made by hand, captured, cut off; and the sums over them."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.model.samples import SocketSample
from diagnose.sampling.sockets import SocketReader, is_last, parse_dump

DATA = Path(__file__).parents[1] / "data" / "sampling"
NOOP, ERROR, DONE, BY_FAMILY = 1, 2, 3, 20
ESTABLISHED, CLOSE_WAIT, LISTEN = 1, 8, 10


def message(kind: int, body: bytes = b"") -> bytes:
    """A netlink message, padded to four bytes as the kernel does. Source: netlink(7)."""
    header = struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 4242)
    return header + body + bytes(-len(body) % 4)


def row(state: int, received: int, sent: int, attributes: bytes = b"") -> bytes:
    """A struct inet_diag_msg: family, state, timer, retrans; id; expires, queues, uid, inode."""
    body = struct.pack("=BBBB", socket.AF_INET, state, 0, 0) + b"\xee" * 48
    return message(BY_FAMILY, body + struct.pack("=IIIII", 77, received, sent, 88, 99) + attributes)


def error(code: int) -> bytes:
    return message(ERROR, struct.pack("=i", -code) + b"\0" * 16)


END = message(DONE, bytes(4))
DATAGRAMS: dict[str, tuple[bytes, list[tuple[int, int, int]], bool]] = {
    "empty": (b"", [], False),
    "one": (row(ESTABLISHED, 5, 6), [(1, 5, 6)], False),
    "several": (
        row(ESTABLISHED, 1, 2) + row(LISTEN, 3, 128) + row(CLOSE_WAIT, 0, 0),
        [(1, 1, 2), (10, 3, 128), (8, 0, 0)],
        False,
    ),
    "done": (END, [], True),
    "done_without_a_body": (message(DONE), [], True),
    "one_and_done": (row(ESTABLISHED, 0, 7) + END, [(1, 0, 7)], True),
    "rows_after_done": (END + row(ESTABLISHED, 1, 1), [], True),
    "attributes": (
        row(ESTABLISHED, 1, 2, b"\x05\0\x08\0\x01") + row(ESTABLISHED, 3, 4),
        [(1, 1, 2), (1, 3, 4)],
        False,
    ),
    "other_messages": (message(NOOP) + message(99, b"xyz") + row(1, 2, 3), [(1, 2, 3)], False),
    "largest_queues": (row(ESTABLISHED, 2**32 - 1, 2**32 - 1), [(1, 2**32 - 1, 2**32 - 1)], False),
    "captured_rows": (
        (DATA / "sock_diag.0.bin").read_bytes(),
        [(10, 1, 7), (8, 1, 0), (1, 0, 0), (1, 10, 0), (1, 1234, 0)],
        False,
    ),
    "captured_done": ((DATA / "sock_diag.1.bin").read_bytes(), [], True),
}


@pytest.mark.parametrize(("data", "rows", "last"), DATAGRAMS.values(), ids=DATAGRAMS.keys())
def test_datagrams(data: bytes, rows: list[tuple[int, int, int]], last: bool) -> None:
    assert list(parse_dump(data)) == rows
    assert is_last(data) is last


@pytest.mark.parametrize("before", [b"", row(ESTABLISHED, 1, 2)], ids=["alone", "after_a_row"])
def test_the_kernels_error(before: bytes) -> None:
    code = errno.ENOENT
    seen = parse_dump(before + error(code))
    if before:
        assert next(seen) == (1, 1, 2)
    with pytest.raises(OSError, match="sock_diag") as caught:
        next(seen)
    assert caught.value.errno == code
    assert is_last(before + error(code))


def test_cut_off_anywhere() -> None:
    """Only between messages is a datagram whole."""
    data = row(ESTABLISHED, 1, 2) + row(LISTEN, 3, 4)
    first = len(row(ESTABLISHED, 1, 2))
    for cut in [*range(1, first), *range(first + 1, len(data))]:
        arrived = cut % first
        what = f"header cut off after {arrived} b" if arrived < 16 else "message of 88 bytes"
        with pytest.raises(ValueError, match=f"netlink {what}"):
            list(parse_dump(data[:cut]))
    assert list(parse_dump(data[:first])) == [(1, 1, 2)]


@pytest.mark.parametrize("length", [0, 1, 15, 89, 2**32 - 1])
def test_lengths_that_cannot_be(length: int) -> None:
    data = struct.pack("=I", length) + row(ESTABLISHED, 1, 2)[4:]
    with pytest.raises(ValueError, match=f"netlink message of {length} bytes"):
        list(parse_dump(data))
    assert not is_last(data)


@pytest.mark.parametrize(
    "data",
    [
        message(BY_FAMILY, b"abcd"),
        message(ERROR),
        message(BY_FAMILY, bytes(60)),
        message(BY_FAMILY, b"abcd") + row(ESTABLISHED, 1, 2),
        message(ERROR) + error(errno.EPERM),
    ],
    ids=["row", "error", "row_almost_whole", "row_before_another", "error_before_another"],
)
def test_messages_too_short_for_their_kind(data: bytes) -> None:
    with pytest.raises(ValueError, match="netlink"):
        list(parse_dump(data))


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))),
    st.binary(max_size=9),
)
def test_any_rows(rows: list[tuple[int, int, int]], attributes: bytes) -> None:
    data = b"".join(row(*values, attributes) for values in rows)
    assert list(parse_dump(data + END)) == rows
    assert is_last(data + END)
    assert not is_last(data)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_noise_ends(noise: bytes) -> None:
    assert is_last(noise) in (True, False)


# -- sums ---------------------------------------------------------------------------------------


class FakeNetlink:
    """Answers a dump request by family and ports; keeps the requests."""

    def __init__(self, answers: dict[tuple[int, int, int], list[bytes]]) -> None:
        self.answers = answers
        self.requests: list[bytes] = []
        self.waiting: list[bytes] = []
        self.closed = False

    def __call__(self, *_: int) -> FakeNetlink:
        return self

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def send(self, data: bytes) -> int:
        assert not self.waiting
        self.requests.append(data)
        source, target = struct.unpack_from(">HH", data, 24)
        self.waiting = list(self.answers.get((data[16], source, target), [END]))
        return len(data)

    def recv(self, size: int) -> bytes:
        assert size >= 1 << 16
        return self.waiting.pop(0)

    def close(self) -> None:
        self.closed = True


Answers = dict[tuple[int, int, int], list[bytes]]
Read = Callable[[Answers], SocketSample]
V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)


def reader_of(
    monkeypatch: pytest.MonkeyPatch, answers: Answers
) -> tuple[SocketReader, FakeNetlink]:
    netlink = FakeNetlink(answers)
    monkeypatch.setattr("diagnose.sampling.sockets.socket.socket", netlink)
    return SocketReader(8080), netlink


@pytest.fixture(name="read")
def read_fixture(monkeypatch: pytest.MonkeyPatch) -> Read:
    return lambda answers: reader_of(monkeypatch, answers)[0].read()


def test_no_sockets(read: Read) -> None:
    assert read({}) == SocketSample(0, 0, 0, 0, 0, 0, 0)


def test_servers_and_clients_ends_of_both_families(read: Read) -> None:
    seen = read(
        {
            (V4, 8080, 0): [
                row(LISTEN, 3, 128) + row(ESTABLISHED, 10, 1000),
                row(ESTABLISHED, 0, 2000) + END,
            ],
            (V6, 8080, 0): [row(LISTEN, 0, 4096) + row(ESTABLISHED, 5, 0), END],
            (V4, 0, 8080): [row(ESTABLISHED, 999, 70) + row(ESTABLISHED, 0, 7) + END],
            (V6, 0, 8080): [row(ESTABLISHED, 0, 700), END],
        }
    )
    assert seen == SocketSample(
        established=3,
        unread_sockets=2,
        unread_bytes=15,
        unsent_bytes=3000,
        client_unsent_bytes=777,
        accept_queue=3,
        accept_backlog=128,
    )


def test_the_fullest_of_several_listeners(read: Read) -> None:
    rows = row(LISTEN, 1, 511) + row(LISTEN, 9, 128) + row(LISTEN, 0, 4096)
    seen = read({(V4, 8080, 0): [rows + END]})
    assert (seen.accept_queue, seen.accept_backlog) == (9, 128)


def test_connections_that_the_client_ended_are_not_established(read: Read) -> None:
    seen = read({(V4, 8080, 0): [row(CLOSE_WAIT, 0, 50) + row(ESTABLISHED, 0, 0) + END]})
    assert (seen.established, seen.unsent_bytes) == (1, 50)
    assert (seen.unread_sockets, seen.unread_bytes) == (0, 0)


def test_the_end_of_the_input_is_no_unread_byte(read: Read) -> None:
    """The captured dump: 1234 and 10 bytes unread, and one connection that the client closed."""
    captured = [(DATA / f"sock_diag.{number}.bin").read_bytes() for number in (0, 1)]
    seen = read({(V4, 8080, 0): captured})
    assert (seen.established, seen.accept_queue, seen.accept_backlog) == (3, 1, 7)
    assert (seen.unread_sockets, seen.unread_bytes) == (2, 1244)


def test_errors_reach_the_caller(read: Read) -> None:
    with pytest.raises(PermissionError):
        read({(V6, 8080, 0): [error(errno.EPERM)]})


def test_requests_are_dumps_by_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Source: sock_diag(7): nlmsghdr, then inet_diag_req_v2 with an inet_diag_sockid."""
    reader, netlink = reader_of(monkeypatch, {})
    reader.read()
    assert len(netlink.requests) == 4
    for request, family, source, target in zip(
        netlink.requests, (V4, V4, V6, V6), (8080, 0) * 2, (0, 8080) * 2, strict=True
    ):
        length, kind, flags = struct.unpack_from("=IHH", request)
        assert (length, kind, flags) == (len(request), 20, 0x301)
        assert len(request) == 16 + 8 + 48
        assert struct.unpack_from("=BBB", request, 16) == (family, socket.IPPROTO_TCP, 0)
        (states,) = struct.unpack_from("=I", request, 20)
        assert states == 1 << ESTABLISHED | 1 << CLOSE_WAIT | (1 << LISTEN if source else 0)
        assert struct.unpack_from(">HH", request, 24) == (source, target)
        assert request[28:] == bytes(44)
    reader.close()
    assert netlink.closed
