"""One connection, without a socket: what goes in, in pieces of every size, and what comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from reference_server.endpoints import ROUTES
from reference_server.http11 import MAX_HEAD_BYTES, WRITE_BYTES
from reference_server.messages import Request, Response, Route
from tests.reference_server.fake_transport import bodies, connect, receive

GET = b"GET /baseline11?a=13&b=42 HTTP/1.1\r\nHost: x\r\n\r\n"
POST = (
    b"POST /baseline11?a=13&b=42 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n20"
    b"POST /baseline11?a=1&b=2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1\r\n2\r\n1\r\n0\r\n0\r\n\r\n"
)
BIG = b"GET /json/50?m=1 HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_pieces_of_any_size_are_the_same_requests(size: int) -> None:
    connection, transport = connect()
    data = GET + POST
    for start in range(0, len(data), size):
        receive(connection, data[start : start + size])
    assert bodies(transport) == [b"55", b"75", b"23"]
    assert not transport.closed


def test_pipelined_requests_are_answered_in_one_write() -> None:
    connection, transport = connect()
    receive(connection, GET * 16)
    assert len(transport.writes) == 1
    assert bodies(transport) == [b"55"] * 16


def test_head_has_no_content() -> None:
    connection, transport = connect()
    receive(connection, b"HEAD /pipeline HTTP/1.1\r\nHost: x\r\n\r\n")
    assert transport.writes[0].endswith(b"Content-Length: 2\r\n\r\n")


def test_expectation_is_answered_before_the_body() -> None:
    connection, transport = connect()
    head = b"POST /upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    receive(connection, head)
    assert transport.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    receive(connection, b"abc")
    assert transport.writes[1].endswith(b"\r\n\r\n3")


@pytest.mark.parametrize(
    "data",
    [
        b"GET /pipeline HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /pipeline HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
        b"GET /pipeline HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nPRI *",
    ],
)
def test_last_response_says_that_it_is_the_last(data: bytes) -> None:
    connection, transport = connect()
    receive(connection, data)
    assert b"\r\nConnection: close\r\n" in transport.writes[0]
    assert bodies(transport) == [b"ok"]
    assert transport.closed


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01 nothing of the kind\r\n\r\n", b"foo / HTTP/1.1\r\n"]
)
def test_nonsense_is_answered_400_and_closed(data: bytes) -> None:
    connection, transport = connect()
    receive(connection, data)
    assert transport.writes[0].startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert transport.closed


def test_endless_head_is_refused() -> None:
    connection, transport = connect()
    receive(connection, b"GET /pipeline HTTP/1.1\r\nX: ")
    for _ in range(MAX_HEAD_BYTES // 1000 + 1):
        assert not transport.closed
        receive(connection, b"x" * 1000)
    assert transport.writes[0].startswith(b"HTTP/1.1 431 ")
    assert transport.closed


def test_long_bodies_and_many_requests_are_no_endless_head() -> None:
    connection, transport = connect()
    receive(connection, b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
    receive(connection, bytes(100_000))
    receive(connection, bytes(100_000))
    receive(connection, GET * 2000)
    connection.resume_writing()
    assert bodies(transport) == [b"200000"] + [b"55"] * 2000


def test_trailers_are_no_headers_of_the_next_request() -> None:
    def count(request: Request) -> Response:
        return Response(b"%d" % len(request.headers))

    connection, transport = connect({**ROUTES, b"/count": {b"GET": Route(count)}})
    chunked = b"POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    receive(connection, chunked + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
    receive(connection, b"GET /count HTTP/1.1\r\nHost: x\r\n\r\n")
    assert bodies(transport) == [b"3", b"1"]


def test_failing_handler_costs_only_its_own_request() -> None:
    def fail(request: Request) -> Response:
        raise ZeroDivisionError

    connection, transport = connect({**ROUTES, b"/fail": {b"GET": Route(fail)}})
    receive(connection, b"GET /fail HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
    assert transport.writes[0].startswith(b"HTTP/1.1 500 ")
    assert bodies(transport)[1] == b"55"


def test_client_that_does_not_read_is_not_answered_further() -> None:
    connection, transport = connect()
    write = transport.write

    def write_and_fill(data: bytes | bytearray | memoryview) -> None:
        write(data)
        connection.pause_writing()

    transport.write = write_and_fill  # type: ignore[method-assign]
    receive(connection, BIG * 100)
    assert not transport.reading
    assert sum(map(len, transport.writes)) < 2 * WRITE_BYTES
    transport.write = write  # type: ignore[method-assign]
    connection.resume_writing()
    assert transport.reading
    assert len(bodies(transport)) == 100


def test_handlers_that_wait_answer_in_order() -> None:
    async def scenario() -> None:
        gate = asyncio.Event()

        def later(request: Request) -> Awaitable[Response]:
            async def answer() -> Response:
                await gate.wait()
                return Response(b"later")

            return answer()

        connection, transport = connect({**ROUTES, b"/later": {b"GET": Route(later)}})
        receive(connection, b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n" + GET * 2)
        await asyncio.sleep(0)
        assert transport.writes == []
        assert not transport.reading
        gate.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert bodies(transport) == [b"later", b"55", b"55"]
        assert transport.reading

    asyncio.run(scenario())


def test_idle_connection_is_drained_at_once_and_a_busy_one_is_not() -> None:
    connection, transport = connect()
    receive(connection, POST[:-10])
    connection.drain()
    assert not transport.closed
    receive(connection, POST[-10:])
    connection.drain()
    assert transport.closed
