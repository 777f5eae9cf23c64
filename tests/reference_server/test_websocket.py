"""The WebSocket echo, without a socket: handshakes, frames in pieces of every size, bad ones."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from http import HTTPStatus

import pytest

from reference_server.endpoints import ROUTES
from reference_server.messages import Request, Response, Route
from reference_server.websocket import (
    MAX_MESSAGE_BYTES,
    Echo,
    EchoConnection,
    accept_key,
    frame,
    unmask,
)
from tests.reference_server.fake_transport import FakeTransport, bodies, connect, receive

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: " + KEY + b"\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
# RFC 6455, 1.3: the answer to that key.
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def client_frame(
    opcode: int, payload: bytes = b"", fin: bool = True, mask: bytes = b"mask"
) -> bytes:
    size = len(payload)
    first = bytes([(0x80 if fin else 0) | opcode])
    if size <= 125:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = bytes([0x80 | 126]) + size.to_bytes(2)
    else:
        length = bytes([0x80 | 127]) + size.to_bytes(8)
    return (
        first + length + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    )


def server_frames(data: bytes) -> list[tuple[int, bytes]]:
    """Opcode and payload of each frame; all are whole messages and none is masked."""
    found = []
    while data:
        assert data[0] & 0xF0 == 0x80
        assert data[1] < 0x80
        head = {126: 4, 127: 10}.get(data[1], 2)
        size = int.from_bytes(data[2:head]) if head > 2 else data[1]
        assert len(data) >= head + size
        found.append((data[0] & 15, data[head : head + size]))
        data = data[head + size :]
    return found


def upgraded() -> tuple[EchoConnection, FakeTransport]:
    connection, transport = connect()
    receive(connection, HANDSHAKE)
    transport.writes.clear()
    assert isinstance(transport.protocol, EchoConnection)
    return transport.protocol, transport


def status_of(data: bytes) -> tuple[bytes, FakeTransport]:
    connection, transport = connect()
    receive(connection, data)
    return transport.writes[0].split(b" ", 2)[1], transport


def test_key_is_answered_as_in_the_rfc() -> None:
    assert accept_key(KEY) == ACCEPT


@pytest.mark.parametrize("size", [1, 3, 50, 1000])
def test_handshake_in_pieces_of_any_size_switches_protocols(size: int) -> None:
    connection, transport = connect()
    for start in range(0, len(HANDSHAKE), size):
        receive(connection, HANDSHAKE[start : start + size])
    head = b"".join(transport.writes)
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert head.endswith(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert b"upgrade: websocket" in lines
    assert b"connection: upgrade" in lines
    assert b"Sec-WebSocket-Accept: " + ACCEPT in head
    assert b"content-length" not in head.lower()
    assert isinstance(transport.protocol, EchoConnection)
    assert not transport.closed
    assert connection.shared.connections == {transport.protocol}


def test_frames_behind_the_handshake_are_not_lost() -> None:
    connection, transport = connect()
    first, second = client_frame(TEXT, b"first"), client_frame(TEXT, b"second")
    receive(connection, HANDSHAKE + first + second[:3])
    assert isinstance(transport.protocol, EchoConnection)
    receive(transport.protocol, second[3:])
    frames = b"".join(transport.writes).partition(b"\r\n\r\n")[2]
    assert server_frames(frames) == [(TEXT, b"first"), (TEXT, b"second")]


def test_requests_before_the_handshake_are_answered_first() -> None:
    connection, transport = connect()
    receive(connection, b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n" * 2 + HANDSHAKE)
    assert len(transport.writes) == 1
    answers = transport.writes[0].split(b"HTTP/1.1 ")
    assert [each[:3] for each in answers[1:]] == [b"200", b"200", b"101"]


def test_handshake_behind_a_handler_that_waits_comes_after_it() -> None:
    async def scenario() -> None:
        gate = asyncio.Event()

        def later(request: Request) -> Awaitable[Response]:
            async def answer() -> Response:
                await gate.wait()
                return Response(b"later")

            return answer()

        connection, transport = connect({**ROUTES, b"/later": {b"GET": Route(later)}})
        receive(
            connection,
            b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n" + HANDSHAKE + client_frame(TEXT, b"early"),
        )
        await asyncio.sleep(0)
        assert transport.protocol is None
        gate.set()
        for _ in range(5):
            await asyncio.sleep(0)
        answers = b"".join(transport.writes).split(b"HTTP/1.1 ")
        assert [each[:3] for each in answers[1:]] == [b"200", b"101"]
        assert answers[2].endswith(b"\r\n\r\n" + frame(TEXT, b"early"))
        assert transport.reading

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Upgrade: websocket\r\n", b"", b"426"),
        (b"Upgrade: websocket\r\n", b"Upgrade: h2c\r\n", b"426"),
        (b"keep-alive, Upgrade", b"keep-alive", b"426"),
        (b"Version: 13", b"Version: 8", b"426"),
        (b"Sec-WebSocket-Version: 13\r\n", b"", b"426"),
        (b"HTTP/1.1", b"HTTP/1.0", b"426"),
        (b"GET", b"HEAD", b"426"),
        (b"GET", b"POST", b"405"),
        (b"/ws", b"/pipeline", b"200"),
        (b"/ws", b"/nowhere", b"404"),
        (b"Sec-WebSocket-Key: " + KEY + b"\r\n", b"", b"400"),
        (KEY, b"c2hvcnQ=", b"400"),
        (KEY, b"not base64 at all", b"400"),
        (KEY, KEY[:-1] + b"!", b"400"),
    ],
)
def test_what_is_no_handshake_is_refused(old: bytes, new: bytes, status: bytes) -> None:
    assert HANDSHAKE.count(old) == 1
    found, transport = status_of(HANDSHAKE.replace(old, new))
    assert found == status
    assert transport.protocol is None


def test_refusal_says_what_would_do() -> None:
    _, transport = status_of(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"\r\nUpgrade: websocket\r\n" in transport.writes[0]
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in transport.writes[0]
    assert bodies(transport) == [HTTPStatus.UPGRADE_REQUIRED.phrase.encode()]


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 127, 1000, 65_535, 65_536, 200_000])
def test_messages_of_every_length_come_back(size: int) -> None:
    payload = random.Random(size).randbytes(size)
    echoed = Echo().feed(client_frame(BINARY, payload))
    assert server_frames(echoed) == [(BINARY, payload)]
    assert unmask(unmask(payload, b"abcd"), b"abcd") == payload


def test_stream_split_at_every_byte_gives_the_same_echo() -> None:
    stream = (
        client_frame(TEXT, "Grüße".encode())
        + client_frame(TEXT, b"fragm", fin=False)
        + client_frame(PING, b"in between")
        + client_frame(0, b"", fin=False)
        + client_frame(0, b"ented")
        + client_frame(PONG, b"unasked")
        + client_frame(BINARY, b"\xff" * 300)
        + client_frame(CLOSE, (1000).to_bytes(2) + b"bye")
    )
    expected = [
        (TEXT, "Grüße".encode()),
        (PONG, b"in between"),
        (TEXT, b"fragmented"),
        (BINARY, b"\xff" * 300),
        (CLOSE, (1000).to_bytes(2)),
    ]
    for cut in range(len(stream) + 1):
        echo = Echo()
        assert server_frames(echo.feed(stream[:cut]) + echo.feed(stream[cut:])) == expected
        assert echo.closed
    echo = Echo()
    assert server_frames(b"".join(echo.feed(bytes([byte])) for byte in stream)) == expected


def test_pipelined_messages_are_echoed_in_one_write() -> None:
    echo, transport = upgraded()
    receive(echo, b"".join(client_frame(TEXT, b"%d" % number) for number in range(16)))
    assert len(transport.writes) == 1
    assert server_frames(transport.writes[0]) == [(TEXT, b"%d" % number) for number in range(16)]


def test_what_is_incomplete_is_not_answered() -> None:
    echo, transport = upgraded()
    receive(echo, client_frame(TEXT, b"hello")[:-1])
    assert transport.writes == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05hello", 1002),  # Not masked.
        (bytes([0xC1, 0x80]) + b"mask", 1002),  # A reserved bit.
        (client_frame(3), 1002),
        (client_frame(11), 1002),
        (client_frame(0, b"x"), 1002),  # Continues nothing.
        (client_frame(TEXT, b"a", fin=False) + client_frame(TEXT, b"b"), 1002),
        (client_frame(PING, b"x", fin=False), 1002),
        (client_frame(PING, b"x" * 126), 1002),
        (client_frame(CLOSE, b"x"), 1002),
        (client_frame(CLOSE, (999).to_bytes(2)), 1002),
        (client_frame(CLOSE, (1005).to_bytes(2)), 1002),
        (client_frame(CLOSE, (1006).to_bytes(2)), 1002),
        (client_frame(CLOSE, (1000).to_bytes(2) + b"\xff"), 1007),
        (client_frame(TEXT, b"\xff"), 1007),
        (client_frame(TEXT, b"\xc3", fin=False) + client_frame(0, b"("), 1007),
        # Refused by the length alone, before anything of it arrives.
        (b"\x82\xff" + (MAX_MESSAGE_BYTES + 1).to_bytes(8) + b"mask", 1009),
        (b"\x82\xff" + (2**63).to_bytes(8) + b"mask", 1009),
    ],
)
def test_broken_protocol_closes_with_its_code(data: bytes, code: int) -> None:
    echo, transport = upgraded()
    good = client_frame(TEXT, b"good")
    receive(echo, good + data + good)
    assert server_frames(b"".join(transport.writes)) == [
        (TEXT, b"good"),
        (CLOSE, code.to_bytes(2)),
    ]
    assert transport.closed
    # RFC 6455, 5.5.1: nothing more is sent.
    receive(echo, good)
    assert len(transport.writes) == 1


def test_text_may_be_cut_inside_a_character() -> None:
    echo = Echo()
    answer = echo.feed(client_frame(TEXT, b"\xc3", fin=False) + client_frame(0, b"\xbc"))
    assert server_frames(answer) == [(TEXT, "ü".encode())]


def test_message_of_too_many_fragments_is_refused() -> None:
    echo = Echo()
    piece = b"x" * (MAX_MESSAGE_BYTES // 2)
    assert echo.feed(client_frame(BINARY, piece, fin=False)) == b""
    assert echo.feed(client_frame(0, piece, fin=False)) == b""
    assert server_frames(echo.feed(client_frame(0, b"x"))) == [(CLOSE, (1009).to_bytes(2))]


def test_close_without_a_code_is_answered_without_one() -> None:
    echo, transport = upgraded()
    receive(echo, client_frame(CLOSE) + client_frame(TEXT, b"too late"))
    assert server_frames(transport.writes[0]) == [(CLOSE, b"")]
    assert transport.closed


def test_client_that_does_not_read_is_not_read_from() -> None:
    echo, transport = upgraded()
    echo.pause_writing()
    assert not transport.reading
    echo.resume_writing()
    assert transport.reading


def test_draining_says_goodbye_once() -> None:
    echo, transport = upgraded()
    echo.drain()
    echo.drain()
    assert server_frames(b"".join(transport.writes)) == [(CLOSE, (1001).to_bytes(2))]
    assert transport.closed
    echo.connection_lost(None)
    assert echo.shared.connections == set()


def test_random_bytes_never_raise() -> None:
    source = random.Random(6455)
    for _ in range(500):
        echo = Echo()
        for _ in range(5):
            answer = echo.feed(source.randbytes(source.randint(0, 40)))
            assert server_frames(answer) is not None
