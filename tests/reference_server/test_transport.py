"""Plain connections over a real pair of sockets: no network, no waiting on time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from reference_server.transport import PlainTransport, Poller


class Recorder(asyncio.BufferedProtocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.received = b""
        self.told: list[str] = []
        self.error: Exception | None = None
        self.fail = False
        self._buffer = bytearray(64)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.append("made")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")
        self.error = exc

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.fail:
            raise ValueError("on purpose")
        self.received += self._buffer[:nbytes]

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


async def until(reached: Callable[[], bool]) -> None:
    """Turns of the event loop until it is so."""
    async with asyncio.timeout(5):
        while not reached():
            await asyncio.sleep(0)


def with_connection(
    check: Callable[[PlainTransport, Recorder, socket.socket], Coroutine[Any, Any, None]],
) -> None:
    """Runs a check on a connection and its client's end."""

    async def run() -> None:
        client, accepted = socket.socketpair()
        client.setblocking(False)
        accepted.setblocking(False)
        poller = Poller(asyncio.get_running_loop())
        protocol = Recorder()
        transport = PlainTransport(poller, accepted, protocol)
        try:
            await check(transport, protocol, client)
        finally:
            transport.abort()
            poller.close()
            client.close()
        assert protocol.told.count("lost") == 1
        assert accepted.fileno() == -1

    asyncio.run(run())


def test_what_arrives_is_read_in_pieces_of_the_buffer() -> None:
    async def check(transport: PlainTransport, protocol: Recorder, client: socket.socket) -> None:
        client.send(b"x" * 200)
        await until(lambda: len(protocol.received) == 200)
        transport.write(b"answer")
        assert client.recv(100) == b"answer"

    with_connection(check)


def test_what_the_client_does_not_take_waits_and_arrives_whole() -> None:
    async def check(transport: PlainTransport, protocol: Recorder, client: socket.socket) -> None:
        data = bytes(range(256)) * 8192
        transport.write(data)
        transport.write(b"behind")
        assert "pause" in protocol.told
        assert transport.get_write_buffer_size() > 0
        taken = b""

        def all_taken() -> bool:
            nonlocal taken
            with contextlib.suppress(BlockingIOError):
                taken += client.recv(1 << 20)
            return len(taken) == len(data) + 6

        await until(all_taken)
        await until(lambda: "resume" in protocol.told)
        assert taken == data + b"behind"

    with_connection(check)


def test_closing_sends_the_rest_first() -> None:
    async def check(transport: PlainTransport, protocol: Recorder, client: socket.socket) -> None:
        transport.write(bytes(1 << 21))
        transport.close()
        assert transport.is_closing()
        assert "lost" not in protocol.told
        taken = 0

        def ended() -> bool:
            nonlocal taken
            try:
                received = client.recv(1 << 20)
            except BlockingIOError:
                return False
            taken += len(received)
            return not received

        await until(ended)
        assert taken == 1 << 21
        assert protocol.told[-1] == "lost"

    with_connection(check)


def test_nothing_is_read_while_reading_is_paused() -> None:
    async def check(transport: PlainTransport, protocol: Recorder, client: socket.socket) -> None:
        transport.pause_reading()
        client.send(b"later")
        for _ in range(20):
            await asyncio.sleep(0)
        assert protocol.received == b""
        transport.resume_reading()
        await until(lambda: protocol.received == b"later")

    with_connection(check)


@pytest.mark.parametrize("paused", [False, True])
def test_end_of_the_client_ends_the_connection(paused: bool) -> None:
    async def check(transport: PlainTransport, protocol: Recorder, client: socket.socket) -> None:
        if paused:
            transport.pause_reading()
        client.close()
        await until(lambda: "lost" in protocol.told)
        transport.write(b"nobody reads this")
        transport.resume_reading()

    with_connection(check)


def test_protocol_that_fails_loses_its_connection_only() -> None:
    async def check(transport: PlainTransport, protocol: Recorder, client: socket.socket) -> None:
        other_client, other_accepted = socket.socketpair()
        other_accepted.setblocking(False)
        other = Recorder()
        second = PlainTransport(transport._poller, other_accepted, other)
        protocol.fail = True
        client.send(b"x")
        other_client.send(b"y")
        await until(lambda: other.received == b"y" and "lost" in protocol.told)
        assert isinstance(protocol.error, ValueError)
        second.abort()
        other_client.close()

    with_connection(check)
