"""One HTTP/2 connection, without a socket; and the real ports at the end."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import ssl
from collections.abc import Awaitable, Iterator

import pytest

from reference_server.endpoints import ROUTES
from reference_server.http2 import MAX_STREAMS, MAX_UNSENT, WINDOW, Http2Connection
from reference_server.http2_frames import header_block, prefixed
from reference_server.messages import Request, Response, Route, Routes
from reference_server.shared import Shared
from tests.reference_server.fake_transport import FakeTransport, receive
from tests.reference_server.http2_client import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITIZED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Client,
    frame,
    settings,
    window_update,
)
from tests.reference_server.running_server import DEADLINE, HOST, MIB, Server, running

PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 1, 3, 5, 6
REFUSED_STREAM, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 7, 9, 11


class Pair:
    """A connection and its client; everything that the server writes reaches the client."""

    def __init__(self, routes: Routes = ROUTES, greet: bool = True) -> None:
        self.connection, self.transport = Http2Connection(Shared(routes)), FakeTransport()
        self.client = Client()
        self.connection.connection_made(self.transport)
        if greet:
            self.send(PREFACE + settings())

    def send(self, data: bytes) -> None:
        for start in range(0, len(data), 100_000):
            receive(self.connection, data[start : start + 100_000])
        self.read()

    def read(self) -> None:
        self.client.feed(b"".join(self.transport.writes))
        self.transport.writes.clear()

    def body(self, stream: int) -> bytes:
        answer = self.client.answers[stream]
        assert answer.ended
        assert answer.statuses == [200]
        assert answer.headers[b"content-length"] == b"%d" % len(answer.body)
        return answer.body


def test_get_is_answered() -> None:
    pair = Pair()
    pair.send(pair.client.get(1, b"/baseline2?a=13&b=42"))
    assert pair.body(1) == b"55"
    assert pair.client.answers[1].headers[b"content-type"] == b"text/plain"
    assert set(pair.client.answers[1].headers) == {
        *(b"server", b"date", b"content-type", b"content-length")
    }


def stream_of_requests(client: Client) -> bytes:
    return (
        PREFACE
        + settings((4, 100_000))
        + client.get(1, b"/baseline2?a=13&b=42")
        + client.post(3, b"/baseline11?a=13&b=42")
        + frame(DATA, 0, 3, b"2")
        + frame(PING, 0, 0, b"12345678")
        + client.get(5, b"/json/2?m=3")
        + frame(DATA, END_STREAM, 3, b"0")
    )


def test_stream_split_at_every_byte_gives_the_same_answers() -> None:
    data = stream_of_requests(Client())
    for cut in range(1, len(data)):
        pair = Pair(greet=False)
        pair.send(data[:cut])
        pair.send(data[cut:])
        assert (pair.body(1), pair.body(3)) == (b"55", b"75")
        assert json.loads(pair.body(5))["count"] == 2
    pair = Pair(greet=False)
    for byte in data:
        pair.send(bytes([byte]))
    assert (pair.body(1), pair.body(3)) == (b"55", b"75")


def test_requests_of_one_read_are_answered_in_one_write() -> None:
    pair = Pair()
    data = b"".join(pair.client.get(stream, b"/pipeline") for stream in range(1, 64, 2))
    receive(pair.connection, data)
    assert len(pair.transport.writes) == 1
    pair.read()
    assert {pair.body(stream) for stream in range(1, 64, 2)} == {b"ok"}


def test_head_has_no_content() -> None:
    pair = Pair()
    block = pair.client.block(b"HEAD", b"/pipeline")
    pair.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
    answer = pair.client.answers[1]
    assert (answer.statuses, answer.body, answer.ended) == ([200], b"", True)
    assert answer.headers[b"content-length"] == b"2"


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        (b"GET", b"/nowhere", 404),
        (b"DELETE", b"/baseline2", 405),
        (b"GET", b"/baseline2?a=x", 400),
        (b"GET", b"/ws", 426),
    ],
)
def test_errors_are_answers(method: bytes, target: bytes, status: int) -> None:
    pair = Pair()
    block = pair.client.block(method, target)
    pair.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
    answer = pair.client.answers[1]
    assert (answer.statuses, answer.ended) == ([status], True)
    assert b"connection" not in answer.headers


def test_padding_priority_continuation_and_trailers_are_understood() -> None:
    pair = Pair()
    block = pair.client.block(b"POST", b"/baseline11?a=1&b=2")
    head = b"\x03" + bytes(5) + block[:4] + bytes(3)
    pair.send(frame(HEADERS, PADDED | PRIORITIZED, 1, head))
    pair.send(
        frame(CONTINUATION, 0, 1, block[4:9]) + frame(CONTINUATION, END_HEADERS, 1, block[9:])
    )
    pair.send(frame(DATA, PADDED, 1, b"\x02" + b"4" + bytes(2)))
    trailers = pair.client.encoder.encode([(b"x-sum", b"1")])
    pair.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers))
    pair.send(frame(0x77, 0xFF, 1, b"an unknown frame"))
    assert pair.body(1) == b"7"


def test_expectation_is_answered_before_the_body() -> None:
    pair = Pair()
    pair.send(pair.client.post(1, b"/upload", (b"expect", b"100-continue")))
    assert pair.client.answers[1].statuses == [100]
    pair.send(frame(DATA, END_STREAM, 1, b"abc"))
    assert pair.client.answers[1].statuses == [100, 200]
    assert pair.client.answers[1].body == b"3"


def test_window_is_renewed_for_long_uploads() -> None:
    pair = Pair()
    size = 3 * WINDOW
    pair.send(pair.client.post(1, b"/upload", (b"content-length", b"%d" % size)))
    piece = frame(DATA, 0, 1, bytes(16_384))
    pair.send(piece * (size // 16_384) + frame(DATA, END_STREAM, 1))
    assert pair.body(1) == b"%d" % size
    for stream in (0, 1):
        given = [
            int.from_bytes(payload)
            for kind, _, number, payload in pair.client.frames
            if (kind, number) == (WINDOW_UPDATE, stream)
        ]
        assert sum(given) >= size - WINDOW // 2


def test_answer_waits_for_the_window_of_its_stream() -> None:
    pair = Pair(greet=False)
    pair.send(PREFACE + settings((4, 10)) + pair.client.get(1, b"/json/50?m=1"))
    answer = pair.client.answers[1]
    assert len(answer.body) == 10
    pair.send(window_update(1, 5))
    assert len(answer.body) == 15
    # A new initial size changes the windows that are open, and may make them negative.
    pair.send(settings((4, 5)) + window_update(1, 4))
    assert len(answer.body) == 15
    pair.send(settings((4, 1_000_000)))
    assert json.loads(pair.body(1))["count"] == 50


def test_answer_waits_for_the_window_of_the_connection() -> None:
    pair = Pair(greet=False)
    pair.send(PREFACE + settings((4, 10_000_000)))
    pair.send(pair.client.get(1, b"/compression") + pair.client.get(3, b"/pipeline"))
    assert len(pair.client.answers[1].body) == 65_535
    assert pair.client.answers[3].body == b""
    pair.send(window_update(0, 5_000_000))
    assert json.loads(pair.body(1))["count"] == 6_000
    assert pair.body(3) == b"ok"


def test_only_few_answers_are_kept_for_closed_windows() -> None:
    made: list[int] = []

    def large(request: Request) -> Response:
        made.append(1)
        return Response(bytes(100_000))

    pair = Pair({**ROUTES, b"/large": {b"GET": Route(large)}}, greet=False)
    pair.send(PREFACE + settings((4, 0)))
    for stream in range(1, 41, 2):
        pair.send(pair.client.get(stream, b"/large"))
    assert len(made) == MAX_UNSENT
    # One that is not wanted any more makes room for another.
    pair.send(frame(RST_STREAM, 0, 1, bytes(4)))
    assert len(made) == MAX_UNSENT + 1
    pair.send(window_update(0, 10_000_000) + settings((4, 1_000_000)))
    assert [len(pair.body(stream)) for stream in range(3, 41, 2)] == [100_000] * 19


def test_client_that_does_not_read_is_not_answered_further() -> None:
    pair = Pair(greet=False)
    pair.send(PREFACE + settings((4, 10_000_000)) + window_update(0, 10_000_000))
    pair.connection.pause_writing()
    assert not pair.transport.reading
    pair.send(pair.client.get(1, b"/compression") + pair.client.get(3, b"/pipeline"))
    assert pair.client.answers == {}
    pair.connection.resume_writing()
    assert pair.transport.reading
    pair.read()
    assert json.loads(pair.body(1))["count"] == 6_000
    assert pair.body(3) == b"ok"


def test_handlers_that_wait_hold_up_no_other_stream() -> None:
    async def scenario() -> None:
        gate = asyncio.Event()

        def later(request: Request) -> Awaitable[Response]:
            async def answer() -> Response:
                await gate.wait()
                return Response(b"later")

            return answer()

        pair = Pair({**ROUTES, b"/later": {b"GET": Route(later)}})
        pair.send(pair.client.get(1, b"/later") + pair.client.get(3, b"/pipeline"))
        pair.send(pair.client.get(5, b"/later") + frame(RST_STREAM, 0, 5, bytes(4)))
        assert pair.body(3) == b"ok"
        pair.connection.drain()
        pair.read()
        assert pair.client.goaway == 0
        assert not pair.transport.closed
        pair.send(pair.client.get(7, b"/pipeline"))
        assert pair.client.answers[7].reset == REFUSED_STREAM
        gate.set()
        for _ in range(5):
            await asyncio.sleep(0)
        pair.read()
        assert pair.body(1) == b"later"
        assert 5 not in pair.client.answers
        assert pair.transport.closed

    asyncio.run(scenario())


def test_streams_at_once_are_limited() -> None:
    async def scenario() -> None:
        def never(request: Request) -> Awaitable[Response]:
            return asyncio.get_running_loop().create_future()

        pair = Pair({**ROUTES, b"/never": {b"GET": Route(never)}})
        for number in range(MAX_STREAMS):
            stream = 2 * number + 1
            # Cancelled streams count, as long as their handlers are at work.
            pair.send(pair.client.get(stream, b"/never") + frame(RST_STREAM, 0, stream, bytes(4)))
        stream = 2 * MAX_STREAMS + 1
        pair.send(pair.client.get(stream, b"/pipeline"))
        assert pair.client.answers[stream].reset == REFUSED_STREAM
        pair.connection.connection_lost(None)
        await asyncio.sleep(0)

    asyncio.run(scenario())


def test_same_block_means_something_else_after_the_table_changed() -> None:
    # RFC 7541, appendix A and 6: GET and http from the static table, a path that is added to the
    # dynamic table, and the newest entry of that.
    common, newest = bytes([0x82, 0x86]), b"\xbe"

    def added(path: bytes) -> bytes:
        return bytes([0x44, len(path)]) + path

    one, two = added(b"/baseline2?a=1"), added(b"/baseline2?a=2")
    pair = Pair()
    for number, path in enumerate((one, newest, newest, two, newest, newest, one, newest)):
        pair.send(frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, common + path))
    assert [pair.body(stream) for stream in range(1, 16, 2)] == [
        *(b"1", b"1", b"1", b"2", b"2", b"2", b"1", b"1")
    ]


@pytest.mark.parametrize(
    "headers",
    [
        [(b":method", b"GET"), (b":scheme", b"http")],
        [(b":path", b"/pipeline"), (b":scheme", b"http")],
        [(b":method", b"GET"), (b":path", b"/pipeline")],
        [(b":method", b"GET"), (b":path", b""), (b":scheme", b"http")],
        [(b":method", b"GET"), (b":path", b"/"), (b":scheme", b"http"), (b":status", b"200")],
        [(b":method", b"GET"), (b":method", b"GET"), (b":path", b"/"), (b":scheme", b"http")],
        [(b":method", b"GET"), (b"x", b"y"), (b":path", b"/"), (b":scheme", b"http")],
        *(
            [(b":method", b"GET"), (b":path", b"/pipeline"), (b":scheme", b"http"), each]
            for each in (
                (b"X-Upper", b"y"),
                (b"connection", b"close"),
                (b"transfer-encoding", b"chunked"),
                (b"te", b"gzip"),
                (b"content-length", b"3"),
                (b"content-length", b"x"),
            )
        ),
    ],
)
def test_malformed_request_ends_its_stream_only(headers: list[tuple[bytes, bytes]]) -> None:
    pair = Pair()
    block = pair.client.encoder.encode(headers)
    pair.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
    assert pair.client.answers[1].reset == PROTOCOL_ERROR
    pair.send(pair.client.get(3, b"/pipeline"))
    assert pair.body(3) == b"ok"


GET_1 = Client().get(1, b"/pipeline")
POST_1 = Client().post(1, b"/upload")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
        (frame(DATA, 0, 1, b"x"), PROTOCOL_ERROR),
        (POST_1 + frame(DATA, PADDED, 1, b"\x05x"), PROTOCOL_ERROR),
        (POST_1 + frame(DATA, PADDED, 1), PROTOCOL_ERROR),
        (frame(HEADERS, END_HEADERS, 0, b"\x82"), PROTOCOL_ERROR),
        (frame(HEADERS, END_HEADERS, 2, b"\x82"), PROTOCOL_ERROR),
        (frame(HEADERS, END_HEADERS | PRIORITIZED, 1, b"\x82"), PROTOCOL_ERROR),
        (frame(HEADERS, 0, 1, b"\x82") + frame(PING, 0, 0, bytes(8)), PROTOCOL_ERROR),
        (frame(HEADERS, 0, 1, b"\x82") + frame(CONTINUATION, 4, 3, b"\x82"), PROTOCOL_ERROR),
        (frame(CONTINUATION, END_HEADERS, 1, b"\x82"), PROTOCOL_ERROR),
        (frame(HEADERS, 0, 1, b"\x82") + frame(CONTINUATION, 0, 1), ENHANCE_YOUR_CALM),
        (
            frame(HEADERS, 0, 1, b"\x82") + frame(CONTINUATION, 0, 1, bytes(16_384)) * 4,
            ENHANCE_YOUR_CALM,
        ),
        (frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\x7f"), COMPRESSION_ERROR),
        (frame(HEADERS, END_HEADERS, 1, b"\x80"), COMPRESSION_ERROR),
        (GET_1 + GET_1, STREAM_CLOSED),
        (frame(PRIORITY, 0, 0, bytes(5)), PROTOCOL_ERROR),
        (frame(RST_STREAM, 0, 0, bytes(4)), PROTOCOL_ERROR),
        (frame(RST_STREAM, 0, 1, bytes(4)), PROTOCOL_ERROR),
        (POST_1 + frame(RST_STREAM, 0, 1, bytes(3)), FRAME_SIZE_ERROR),
        (frame(SETTINGS, 0, 1), PROTOCOL_ERROR),
        (frame(SETTINGS, 0, 0, bytes(5)), FRAME_SIZE_ERROR),
        (frame(SETTINGS, ACK, 0, bytes(6)), FRAME_SIZE_ERROR),
        (settings((2, 2)), PROTOCOL_ERROR),
        (settings((4, 2**31)), FLOW_CONTROL_ERROR),
        (settings((5, 16_383)), PROTOCOL_ERROR),
        (frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4)), PROTOCOL_ERROR),
        (frame(PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (frame(PING, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
        (frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (window_update(0, 0), PROTOCOL_ERROR),
        (window_update(0, 2**31 - 1), FLOW_CONTROL_ERROR),
        (window_update(1, 1), PROTOCOL_ERROR),
        (frame(WINDOW_UPDATE, 0, 0, bytes(3)), FRAME_SIZE_ERROR),
        (b"\x00\x40\x01" + bytes(6), FRAME_SIZE_ERROR),
    ],
)
def test_broken_protocol_ends_the_connection_with_its_code(data: bytes, code: int) -> None:
    pair = Pair()
    pair.send(data)
    assert pair.client.goaway == code
    assert pair.transport.closed


@pytest.mark.parametrize("data", [b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/1.1"])
def test_other_protocols_are_refused(data: bytes) -> None:
    pair = Pair(greet=False)
    pair.send(data)
    assert pair.client.goaway == PROTOCOL_ERROR
    assert pair.transport.closed


def test_settings_come_first() -> None:
    pair = Pair(greet=False)
    pair.send(PREFACE + frame(PING, 0, 0, bytes(8)))
    assert pair.client.goaway == PROTOCOL_ERROR


@pytest.mark.parametrize(("increment", "code"), [(0, PROTOCOL_ERROR), (2**31 - 1, 3)])
def test_bad_window_of_a_stream_ends_that_stream(increment: int, code: int) -> None:
    pair = Pair()
    pair.send(pair.client.post(1, b"/upload") + window_update(1, increment))
    assert pair.client.answers[1].reset == code
    pair.send(frame(DATA, END_STREAM, 1, b"late") + pair.client.get(3, b"/pipeline"))
    assert pair.client.answers[1].reset == STREAM_CLOSED
    assert pair.body(3) == b"ok"


def test_settings_and_pings_are_acknowledged() -> None:
    pair = Pair()
    pair.send(frame(PING, 0, 0, b"12345678") + frame(PING, ACK, 0, b"abcdefgh"))
    pair.send(settings((1, 0)) + frame(SETTINGS, ACK, 0))
    got = [(kind, flags, payload) for kind, flags, _, payload in pair.client.frames]
    assert got.count((PING, ACK, b"12345678")) == 1
    assert [each for each in got if each[0] == PING] == [(PING, ACK, b"12345678")]
    assert got.count((SETTINGS, ACK, b"")) == 2


def test_idle_connection_is_drained_at_once() -> None:
    pair = Pair()
    pair.connection.drain()
    pair.read()
    assert pair.client.goaway == 0
    assert pair.transport.closed


def test_random_frames_never_raise() -> None:
    source = random.Random(9113)
    for _ in range(300):
        pair = Pair()
        for _ in range(8):
            payload = source.randbytes(source.choice((0, 1, 4, 5, 6, 8, 20)))
            pair.send(
                frame(source.randrange(11), source.randrange(64), source.randrange(4), payload)
            )
        assert pair.client.pending == b""


@pytest.mark.parametrize(
    ("value", "bits", "encoded"),
    # RFC 7541, appendix C.1.
    [(10, 5, b"\x0a"), (1337, 5, b"\x1f\x9a\x0a"), (42, 8, b"\x2a"), (31, 5, b"\x1f\x00")],
)
def test_integers_are_encoded_as_in_the_rfc(value: int, bits: int, encoded: bytes) -> None:
    assert prefixed(value, bits) == encoded


@pytest.mark.parametrize("status", [100, 200, 400, 404, 405, 426, 500, 503])
def test_header_block_is_what_a_client_reads(status: int) -> None:
    headers = [(b"Content-Type", b"x" * 300), (b"X-New", b""), (b"Vary", b"a"), (b"Upgrade", b"b")]
    client = Client()
    client.feed(frame(HEADERS, END_HEADERS, 1, header_block(status, headers)))
    assert client.answers[1].statuses == [status]
    assert client.answers[1].headers == {b"content-type": b"x" * 300, b"x-new": b"", b"vary": b"a"}


# ------------------------------------------------------------------------------- real processes


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("--workers", "2", "--h2-port", "0", "--h2c-port", "0") as running_server:
        yield running_server


def exchange(connection: socket.socket, client: Client, data: bytes, stream: int) -> bytes:
    """Sends, and reads until the stream has ended; gives back windows meanwhile."""
    connection.sendall(data)
    while not (stream in client.answers and client.answers[stream].ended):
        received = connection.recv(65536)
        assert received
        seen = len(client.frames)
        client.feed(received)
        size = sum(len(payload) for kind, _, _, payload in client.frames[seen:] if kind == DATA)
        if size:
            connection.sendall(window_update(0, size) + window_update(stream, size))
    return client.answers[stream].body


@pytest.mark.integration
@pytest.mark.parametrize("tls", [False, True])
def test_real_ports_speak_http2(server: Server, tls: bool) -> None:
    client = Client()
    port = server.h2_port if tls else server.h2c_port
    connection = socket.create_connection((HOST, port), timeout=DEADLINE)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2", "http/1.1"])
        connection = context.wrap_socket(connection)
        assert connection.selected_alpn_protocol() == "h2"
    with connection:
        request = PREFACE + settings() + client.get(1, b"/baseline2?a=13&b=42")
        assert exchange(connection, client, request, 1) == b"55"
        answer = exchange(connection, client, client.get(3, b"/json/50?m=6"), 3)
        assert json.loads(answer)["count"] == 50
        answer = exchange(connection, client, client.get(5, b"/compression"), 5)
        assert json.loads(answer)["count"] == 6_000
        connection.sendall(client.post(7, b"/upload"))
        body = frame(DATA, 0, 7, bytes(16_384)) * 32 + frame(DATA, END_STREAM, 7)
        assert exchange(connection, client, body, 7) == b"%d" % (MIB // 2)


@pytest.mark.integration
def test_port_of_http2_refuses_http1(server: Server) -> None:
    with socket.create_connection((HOST, server.h2c_port), timeout=DEADLINE) as connection:
        connection.sendall(b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n")
        data = b""
        while received := connection.recv(1000):
            data += received
    assert b"HTTP/1.1" not in data
    client = Client()
    client.feed(data)
    assert client.goaway == PROTOCOL_ERROR
