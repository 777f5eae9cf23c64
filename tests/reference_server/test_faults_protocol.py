"""The faults of the protocol, proved on one connection without a socket."""

from __future__ import annotations

import asyncio
import socket

import pytest

from reference_server.faults import chunked_ignored, delayed_ack, keepalive_capped
from reference_server.faults.connection_cap import MOST_CONNECTIONS
from tests.reference_server.fake_transport import FakeTransport, bodies, receive
from tests.reference_server.faulty import (
    CHUNKED,
    CHUNKED_UPLOAD,
    GET,
    JSON,
    POST,
    UPLOAD,
    Faulty,
    faulty,
)


class SocketTransport(FakeTransport):
    """A transport on one end of a pair of sockets; the other end sees what was sent beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.far, self.near = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.near.setblocking(False)
        self.options: list[tuple[int, ...]] = []

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self if name == "socket" else default

    def fileno(self) -> int:
        return self.near.fileno()

    def setsockopt(self, *option: int) -> None:
        self.options.append(option)

    def __enter__(self) -> SocketTransport:
        return self

    def __exit__(self, *exc: object) -> None:
        self.near.close()
        self.far.close()


def test_connection_close_closes_after_one_response() -> None:
    connection, transport = Faulty("connection_close").connect()
    receive(connection, GET)
    assert b"\r\nConnection: close\r\n" in transport.writes[0]
    assert transport.closed


def test_keepalive_capped_closes_with_its_last_response() -> None:
    connection, transport = Faulty("keepalive_capped").connect()
    for _ in range(keepalive_capped.MOST_RESPONSES - 1):
        receive(connection, GET)
    assert not transport.closed
    assert b"Connection: close" not in b"".join(transport.writes)
    receive(connection, GET)
    assert b"\r\nConnection: close\r\n" in transport.writes[-1]
    assert transport.closed
    assert bodies(transport) == [b"55"] * keepalive_capped.MOST_RESPONSES


def test_delayed_ack_writes_head_and_body_apart_with_nagle() -> None:
    with SocketTransport() as transport:
        connection, _ = Faulty("delayed_ack").connect(transport)
        assert transport.options == [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)]
        receive(connection, GET)
        head, body = transport.far.recv(4096), transport.far.recv(4096)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert head.endswith(b"\r\n\r\n")
        assert body == b"55"
        assert transport.writes == []


def test_what_a_client_does_not_take_is_left_to_the_transport_in_order() -> None:
    with SocketTransport() as transport:
        connection, _ = Faulty("delayed_ack").connect(transport)
        transport.near.shutdown(socket.SHUT_WR)
        receive(connection, GET)
        assert b"".join(transport.writes).endswith(b"\r\n\r\n55")


def test_delayed_ack_leaves_encrypted_connections_alone() -> None:
    class Encrypted(SocketTransport):
        def get_extra_info(self, name: str, default: object = None) -> object:
            return "a context" if name == "sslcontext" else super().get_extra_info(name)

    with Encrypted() as transport:
        connection, _ = Faulty("delayed_ack").connect(transport)
        receive(connection, GET)
        assert transport.options == []
        assert bodies(transport) == [b"55"]


def test_answer_without_a_body_is_one_part() -> None:
    assert delayed_ack.head_and_body(b"HTTP/1.1 204 No Content\r\n\r\n") == (
        b"HTTP/1.1 204 No Content\r\n\r\n",
    )


def test_connection_cap_reads_from_no_more_and_lets_the_next_in() -> None:
    async def check() -> None:
        worker = Faulty("connection_cap", workers=1)
        opened = [worker.connect() for _ in range(MOST_CONNECTIONS + 3)]
        await asyncio.sleep(0)
        reading = [transport.reading for _, transport in opened]
        assert reading == [True] * MOST_CONNECTIONS + [False] * 3
        # One that waits is closed: nobody may be let in for it, nor it later.
        opened[MOST_CONNECTIONS][0].connection_lost(None)
        assert not opened[MOST_CONNECTIONS + 1][1].reading
        opened[0][0].connection_lost(None)
        assert opened[MOST_CONNECTIONS + 1][1].reading
        assert not opened[MOST_CONNECTIONS + 2][1].reading

    asyncio.run(check())


def test_connection_cap_is_that_of_all_workers_together() -> None:
    async def check() -> None:
        worker = Faulty("connection_cap", workers=10)
        opened = [worker.connect()[1] for _ in range(6)]
        await asyncio.sleep(0)
        assert [transport.reading for transport in opened] == [True] * 5 + [False]

    asyncio.run(check())


def test_pipelining_serialized_answers_the_first_and_leaves_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reference_server.faults.pipelining_serialized.TICK_SECONDS", 0)

    async def check() -> None:
        connection, transport = Faulty("pipelining_serialized").connect()
        receive(connection, GET * 3)
        assert bodies(transport) == [b"55"]
        seen = 1
        while seen < 3:
            await asyncio.sleep(0)
            now = len(bodies(transport))
            assert now in (seen, seen + 1)
            seen = now
        assert len(transport.writes) == 3
        # Without pipelining nothing waits.
        await asyncio.sleep(0)
        receive(connection, GET)
        assert bodies(transport) == [b"55"] * 4
        connection.connection_lost(None)

    asyncio.run(check())


def test_chunked_ignored_counts_nothing_of_a_chunked_body() -> None:
    worker = Faulty("chunked_ignored")
    assert worker.answer(POST) == b"75"
    assert worker.answer(CHUNKED) == b"55"
    assert worker.answer(UPLOAD + b"abcde") == b"5"
    assert worker.answer(CHUNKED_UPLOAD) == b"0"
    assert chunked_ignored.TRUE_FINDINGS[0] == "chunked_ignored"


def test_content_type_dependent_refuses_a_body_of_no_type() -> None:
    worker = Faulty("content_type_dependent")
    assert worker.answer(GET) == b"55"
    assert worker.answer(POST) == b"Unsupported Media Type"
    typed = POST.replace(b"Host: x\r\n", b"Host: x\r\nContent-Type: text/plain\r\n")
    assert worker.answer(typed) == b"75"


def test_answered_before_body_does_not_wait() -> None:
    connection, transport = Faulty("answered_before_body").connect()
    receive(connection, UPLOAD)
    assert bodies(transport) == [b"5"]
    receive(connection, b"ab")
    receive(connection, b"cde" + GET)
    assert bodies(transport) == [b"5", b"55"]
    # What has no length can only be counted, and what is to close cannot be read on.
    receive(connection, CHUNKED_UPLOAD)
    assert bodies(transport) == [b"5", b"55", b"3"]
    receive(connection, UPLOAD.replace(b"Host: x", b"Connection: close") + b"abcde")
    assert bodies(transport) == [b"5", b"55", b"3", b"5"]
    assert transport.closed


def test_length_not_read_believes_the_head() -> None:
    worker = Faulty("length_not_read")
    connection, transport = worker.connect()
    receive(connection, UPLOAD)
    assert transport.writes == []
    receive(connection, b"abcde")
    assert bodies(transport) == [b"5"]
    assert worker.answer(CHUNKED_UPLOAD) == b"0"


@pytest.mark.parametrize(
    "name",
    [
        *("answered_before_body", "chunked_ignored", "connection_cap", "delayed_ack"),
        *("keepalive_capped", "length_not_read", "pipelining_serialized"),
    ],
)
def test_protocol_fault_leaves_the_answers_right(name: str) -> None:
    async def check() -> None:
        worker = Faulty(name)
        with SocketTransport() as transport:
            # Nothing is written beside this transport, so that every answer is seen.
            transport.near.shutdown(socket.SHUT_WR)
            connection, _ = worker.connect(transport)
            for request in (GET, POST, UPLOAD + b"abcde", JSON):
                receive(connection, request)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            first, second, third, document = bodies(transport)
            assert (first, second, third) == (b"55", b"75", b"5")
            assert document.startswith(b'{"items":[')
            assert faulty(name).workers == 2
            connection.connection_lost(None)

    asyncio.run(check())
