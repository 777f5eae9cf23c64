"""Netlink datagrams of sock_diag: made by hand, captured, cut off; and the sums over them."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.model.samples import ListenerSample, SocketSample
from diagnose.sampling.sock_diag import Tally, is_last, one_listener_request, parse_dump
from diagnose.sampling.sockets import LIST_EVERY, SocketReader, fullest

DATA = Path(__file__).parents[1] / "data" / "sampling"
NOOP, ERROR, DONE, GETSOCK, BY_FAMILY = 1, 2, 3, 18, 20
ESTABLISHED, CLOSE_WAIT, LISTEN = 1, 8, 10


def message(kind: int, body: bytes = b"") -> bytes:
    """A netlink message, padded to four bytes as the kernel does. Source: netlink(7)."""
    header = struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 4242)
    return header + body + bytes(-len(body) % 4)


def row(
    state: int,
    received: int,
    sent: int,
    attributes: bytes = b"",
    *,
    port: int = 8080,
    peer: int = 40000,
    kind: int = GETSOCK,
) -> bytes:
    """A struct inet_diag_msg: family, state, timer, retrans; id; expires, queues, uid, inode."""
    body = struct.pack("=BBBB", socket.AF_INET, state, 0, 0)
    body += struct.pack(">HH", port, peer) + b"\xee" * 44
    return message(kind, body + struct.pack("=IIIII", 77, received, sent, 88, 99) + attributes)


def client(state: int, received: int, sent: int, attributes: bytes = b"") -> bytes:
    """The other end's row."""
    return row(state, received, sent, attributes, port=40000, peer=8080)


def queues(data: bytes) -> list[tuple[int, int, int]]:
    """(state, receive queue, send queue) of each row."""
    return [(state, received, sent) for state, _, _, received, sent in parse_dump(data)]


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
    assert queues(data) == rows
    assert is_last(data) is last


@pytest.mark.parametrize("before", [b"", row(ESTABLISHED, 1, 2)], ids=["alone", "after_a_row"])
def test_the_kernels_error(before: bytes) -> None:
    code = errno.ENOENT
    seen = parse_dump(before + error(code))
    if before:
        assert next(seen) == (1, 8080, 40000, 1, 2)
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
    assert queues(data[:first]) == [(1, 1, 2)]


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


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))),
    st.binary(max_size=9),
)
def test_any_rows(rows: list[tuple[int, int, int]], attributes: bytes) -> None:
    data = b"".join(row(*values, attributes) for values in rows)
    assert queues(data + END) == rows
    assert is_last(data + END)
    assert not is_last(data)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_noise_ends(noise: bytes) -> None:
    assert is_last(noise) in (True, False)


@pytest.mark.parametrize("kind", [GETSOCK, BY_FAMILY])
def test_ports_of_both_kinds_of_answers(kind: int) -> None:
    data = row(ESTABLISHED, 5, 6, port=80, peer=65535, kind=kind)
    assert list(parse_dump(data)) == [(1, 80, 65535, 5, 6)]


# -- sums ---------------------------------------------------------------------------------------


def tally(*datagrams: bytes) -> Tally:
    """Sums over datagrams of port 8080."""
    sums = Tally(8080)
    for data in datagrams:
        sums.add(data)
    return sums


def test_both_ends() -> None:
    sums = tally(
        row(ESTABLISHED, 10, 1000) + client(ESTABLISHED, 999, 70) + row(ESTABLISHED, 0, 2000),
        row(ESTABLISHED, 5, 0) + client(ESTABLISHED, 0, 7) + client(ESTABLISHED, 0, 700) + END,
    )
    assert sums == Tally(
        port=8080,
        established=3,
        unread_sockets=2,
        unread_bytes=15,
        unsent_sockets=2,
        unsent_bytes=3000,
        client_unsent_bytes=777,
    )


def test_connections_that_the_client_ended_are_not_established() -> None:
    sums = tally(row(CLOSE_WAIT, 0, 50) + row(ESTABLISHED, 0, 0) + END)
    assert (sums.established, sums.close_wait, sums.unsent_bytes) == (1, 1, 50)
    assert (sums.unread_sockets, sums.unread_bytes) == (0, 0)


def test_the_end_of_the_input_is_no_unread_byte() -> None:
    sums = tally(row(CLOSE_WAIT, 1, 0), row(CLOSE_WAIT, 11, 0))
    assert (sums.close_wait, sums.unread_sockets, sums.unread_bytes) == (2, 1, 10)


def test_the_last_datagram_says_so() -> None:
    assert Tally(8080).add(row(ESTABLISHED, 0, 0))
    assert Tally(8080).add(row(CLOSE_WAIT, 0, 0))
    assert not Tally(8080).add(row(ESTABLISHED, 0, 0) + END)
    assert not Tally(8080).add(END)


ROWS = st.tuples(
    st.sampled_from([ESTABLISHED, ESTABLISHED, ESTABLISHED, CLOSE_WAIT]),
    st.sampled_from([0, 0, 1, 70000, 2**32 - 1]),
    st.sampled_from([0, 0, 1, 70000, 2**32 - 1]),
    st.sampled_from([8080, 40000, 36895]),
)


@settings(deadline=None, max_examples=80)
@given(st.lists(ROWS, max_size=12), st.sampled_from([b"", bytes(4), bytes(7)]))
def test_columns_and_rows_give_the_same_sums(
    rows: list[tuple[int, int, int, int]], attributes: bytes
) -> None:
    """36895 is 8080 with its bytes in the wrong order. Rows of two lengths are taken one by one."""
    same = [
        row(state, received, sent, attributes, port=port) for state, received, sent, port in rows
    ]
    mixed = [data if at % 2 else message(NOOP, b"1234") + data for at, data in enumerate(same)]
    assert tally(b"".join(same)) == tally(*same) == tally(b"".join(mixed))


def test_a_uniform_datagram_that_is_cut_off() -> None:
    whole = row(ESTABLISHED, 1, 2) + row(ESTABLISHED, 3, 4)
    for cut in range(1, len(whole)):
        if cut != len(whole) // 2:
            with pytest.raises(ValueError, match="netlink"):
                tally(whole[:cut])


@pytest.mark.parametrize("before", [b"", row(ESTABLISHED, 1, 2)], ids=["alone", "after_a_row"])
def test_the_kernels_error_is_not_summed(before: bytes) -> None:
    with pytest.raises(PermissionError):
        tally(before + error(errno.EPERM))


@settings(deadline=None, max_examples=80)
@given(st.binary(max_size=200))
def test_noise_is_no_row(noise: bytes) -> None:
    with suppress(ValueError, OSError):
        tally(noise)


@pytest.mark.parametrize(
    "answer",
    [END, b"", row(LISTEN, 1, 5) + row(LISTEN, 1, 5) + END, row(ESTABLISHED, 0, 0) + END],
    ids=["none", "empty", "two", "no_listener"],
)
def test_no_single_listener(answer: bytes) -> None:
    assert one_listener_request(answer) == b""


def test_the_fullest_of_several_listeners() -> None:
    assert fullest([(1, 511), (9, 128), (0, 4096)]) == ListenerSample(9, 128, 3, 10)
    assert fullest([]) == ListenerSample(0, 0, 0, 0)


# -- the reader ---------------------------------------------------------------------------------


class FakeNetlink:
    """Answers requests for listeners, for one listener, and for connections; keeps them."""

    def __init__(self, listeners: list[bytes], connections: list[bytes]) -> None:
        self.answers = {"listeners": listeners, "connections": connections, "one": listeners[:1]}
        self.requests: list[bytes] = []
        self.waiting: list[bytes] = []
        self.opened = 0

    def __call__(self, *_: int) -> FakeNetlink:
        self.opened += 1
        self.waiting = []
        return self

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_RCVTIMEO)
        assert struct.unpack("@ll", value) > (0, 0)

    def asked(self) -> list[str]:
        """What the requests since the last call were for."""
        kinds = [kind_of(request) for request in self.requests]
        self.requests.clear()
        return kinds

    def send(self, data: bytes) -> int:
        assert not self.waiting
        self.requests.append(data)
        self.waiting = list(self.answers[kind_of(data)])
        return len(data)

    def recv_into(self, buffer: memoryview) -> int:
        data = self.waiting.pop(0)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.opened -= 1


def kind_of(request: bytes) -> str:
    """What is asked for."""
    if struct.unpack_from("=H", request, 4)[0] == BY_FAMILY:
        return "one"
    (states,) = struct.unpack_from("=I", request, 68)
    return "listeners" if states == 1 << LISTEN else "connections"


MakeReader = Callable[[list[bytes], list[bytes]], tuple[SocketReader, FakeNetlink]]


@pytest.fixture(name="make")
def make_fixture(monkeypatch: pytest.MonkeyPatch) -> MakeReader:
    def make(listeners: list[bytes], connections: list[bytes]) -> tuple[SocketReader, FakeNetlink]:
        netlink = FakeNetlink(listeners, connections)
        monkeypatch.setattr("diagnose.sampling.sockets.socket.socket", netlink)
        return SocketReader(8080), netlink

    return make


def test_no_sockets(make: MakeReader) -> None:
    reader, _ = make([END], [END])
    listeners = reader.read_listeners()
    assert listeners == ListenerSample(0, 0, 0, 0)
    assert reader.read(listeners) == SocketSample(0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_listeners_and_connections(make: MakeReader) -> None:
    reader, _ = make(
        [row(LISTEN, 3, 128, peer=0), row(LISTEN, 0, 4096, peer=0) + END],
        [row(ESTABLISHED, 10, 1000), client(ESTABLISHED, 0, 70) + row(CLOSE_WAIT, 1, 0), END],
    )
    listeners = reader.read_listeners()
    assert listeners == ListenerSample(3, 128, 2, 3)
    assert reader.read(listeners) == SocketSample(
        established=1,
        unread_sockets=1,
        unread_bytes=10,
        unsent_bytes=1000,
        client_unsent_bytes=70,
        accept_queue=3,
        accept_backlog=128,
        unsent_sockets=1,
        close_wait=1,
    )


def test_errors_reach_the_caller(make: MakeReader) -> None:
    reader, _ = make([error(errno.EPERM)], [row(ESTABLISHED, 0, 0), error(errno.ENOBUFS)])
    with pytest.raises(PermissionError):
        reader.read_listeners()
    with pytest.raises(OSError, match="sock_diag"):
        reader.read(ListenerSample(0, 0, 0, 0))


def run_filter(program: bytes, source: int, target: int) -> bool:
    """What the kernel makes of a filter. Source: inet_diag_bc_run of net/ipv4/inet_diag.c."""
    at = 0
    while at < len(program):
        code, yes, no = struct.unpack_from("=BBH", program, at)
        port = struct.unpack_from("=H", program, at + 6)[0] if at + 8 <= len(program) else 0
        holds = {
            1: False,
            2: source >= port,
            3: source <= port,
            4: target >= port,
            5: target <= port,
        }[code]
        at += yes if holds else no
    return at == len(program)


def test_requests(make: MakeReader) -> None:
    """Source: linux/inet_diag.h: nlmsghdr, then inet_diag_req, then its attributes."""
    reader, netlink = make([END], [END])
    reader.read(reader.read_listeners())
    for request in netlink.requests:
        length, kind, flags = struct.unpack_from("=IHH", request)
        assert (length, kind, flags) == (len(request), 18, 0x301)
        assert request[16:20] == bytes(4)
    listeners, connections = netlink.requests
    assert struct.unpack_from("=II", listeners, 68) == (1 << LISTEN, 0)
    assert struct.unpack_from(">HH", listeners, 20) == (8080, 0)
    assert len(listeners) == 16 + 60
    assert struct.unpack_from("=II", connections, 68) == (1 << ESTABLISHED | 1 << CLOSE_WAIT, 0)
    assert struct.unpack_from(">HH", connections, 20) == (0, 0)
    assert struct.unpack_from("=HH", connections, 76) == (len(connections) - 76, 1)
    reader.close()
    assert netlink.opened == 0


def test_a_single_listener_is_asked_for_by_itself(make: MakeReader) -> None:
    first = row(LISTEN, 3, 128, peer=0)
    reader, netlink = make([first, END], [END])
    assert reader.read_listeners() == ListenerSample(3, 128, 1, 3)
    netlink.asked()
    netlink.answers["one"] = [row(LISTEN, 9, 128, peer=0)]
    assert reader.read_listeners() == ListenerSample(9, 128, 1, 9)
    (request,) = netlink.requests
    length, kind, flags = struct.unpack_from("=IHH", request)
    assert (length, kind, flags) == (len(request), BY_FAMILY, 1)
    assert struct.unpack_from("=BBBBI", request, 16) == (2, socket.IPPROTO_TCP, 0, 0, 1 << LISTEN)
    assert request[24:] == first[20:68]
    netlink.asked()
    asked = []
    for _ in range(LIST_EVERY):
        reader.read_listeners()
        asked += netlink.asked()
    assert sorted(asked) == ["listeners"] + ["one"] * (LIST_EVERY - 1)


def test_a_listener_that_is_another_one_now(make: MakeReader) -> None:
    reader, netlink = make([row(LISTEN, 3, 128), END], [END])
    reader.read_listeners()
    netlink.asked()
    netlink.answers["one"] = [error(errno.ESTALE)]
    netlink.answers["listeners"] = [row(LISTEN, 0, 5) + row(LISTEN, 1, 5) + END]
    assert reader.read_listeners() == ListenerSample(1, 5, 2, 1)
    assert netlink.asked() == ["one", "listeners"]
    reader.read_listeners()
    assert netlink.asked() == ["listeners"]


def test_after_an_error_the_rest_of_an_answer_is_dropped(make: MakeReader) -> None:
    reader, netlink = make([END], [error(errno.EPERM), row(ESTABLISHED, 1, 1)])
    listeners = reader.read_listeners()
    with pytest.raises(PermissionError):
        reader.read(listeners)
    reader.restart()
    assert reader.read_listeners() == listeners
    reader.close()
    assert netlink.opened == 0


@pytest.mark.parametrize(
    ("source", "target", "passes"),
    [
        (8080, 40000, True),
        (40000, 8080, True),
        (8080, 8080, True),
        (8079, 8081, False),
        (8081, 8079, False),
        (1, 65535, False),
        (65535, 1, False),
    ],
)
def test_the_filter_lets_either_end_through(
    make: MakeReader, source: int, target: int, passes: bool
) -> None:
    reader, netlink = make([END], [END])
    reader.read(ListenerSample(0, 0, 0, 0))
    assert run_filter(netlink.requests[0][80:], source, target) is passes


def test_the_captured_dump() -> None:
    """1234 and 10 bytes unread, and one connection that the client closed."""
    data = (DATA / "sock_diag.0.bin").read_bytes()
    state, port, _, _, _ = next(parse_dump(data))
    (length,) = struct.unpack_from("=I", data)
    assert state == LISTEN
    sums = Tally(port)
    assert sums.add(data[length:])
    assert not sums.add((DATA / "sock_diag.1.bin").read_bytes())
    assert (sums.unread_sockets, sums.unread_bytes, sums.close_wait) == (2, 1244, 1)
