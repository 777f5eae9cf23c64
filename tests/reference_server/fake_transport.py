"""One connection without a socket: what goes in, and what was written."""

from __future__ import annotations

import asyncio
import re

from reference_server.endpoints import ROUTES
from reference_server.http11 import Connection
from reference_server.messages import Routes
from reference_server.shared import Shared


class FakeTransport(asyncio.Transport):
    """Keeps what was written, and whether reading is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.reading = True
        self.closed = False
        self.protocol: asyncio.BaseProtocol | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


def connect(routes: Routes = ROUTES) -> tuple[Connection, FakeTransport]:
    """A connection that was just accepted."""
    connection, transport = Connection(Shared(routes)), FakeTransport()
    connection.connection_made(transport)
    return connection, transport


def receive(connection: asyncio.BufferedProtocol, data: bytes) -> None:
    """Hands over what one read brought, in the buffer that all connections share."""
    connection.get_buffer(-1)[: len(data)] = data
    connection.buffer_updated(len(data))


def bodies(transport: FakeTransport) -> list[bytes]:
    """The response bodies, by their Content-Length."""
    left, found = b"".join(transport.writes), []
    while left:
        head, _, left = left.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        found.append(left[: int(length[1])])
        left = left[int(length[1]) :]
    return found
