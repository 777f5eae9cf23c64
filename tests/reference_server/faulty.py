"""A connection of an entry with a fault, without a process: what goes in, and what was written."""

from __future__ import annotations

from reference_server.entry import Entry, healthy_entry
from reference_server.faults import load_fault
from reference_server.http11 import Connection
from reference_server.shared import Shared
from tests.reference_server.fake_transport import FakeTransport, bodies, receive

GET = b"GET /baseline11?a=13&b=42 HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /baseline11?a=13&b=42 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n20"
CHUNKED = (
    b"POST /baseline11?a=13&b=42 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\n20\r\n0\r\n\r\n"
)
UPLOAD = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
CHUNKED_UPLOAD = (
    b"POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
)
JSON = b"GET /json HTTP/1.1\r\nHost: x\r\n\r\n"


def faulty(name: str, workers: int = 2, entry: Entry | None = None) -> Entry:
    """The healthy entry, or another one, with a fault."""
    return load_fault(name).apply(entry or healthy_entry(workers))


class Faulty:
    """Connections of one worker of an entry with a fault."""

    def __init__(self, name: str, workers: int = 2, entry: Entry | None = None) -> None:
        self.entry = faulty(name, workers, entry)
        self.shared = Shared(self.entry.routes)

    def connect(self, transport: FakeTransport | None = None) -> tuple[Connection, FakeTransport]:
        """A connection that was just accepted."""
        transport = transport or FakeTransport()
        connection = self.entry.connection(self.shared)
        connection.connection_made(transport)
        return connection, transport

    def answer(self, request: bytes) -> bytes:
        """The body of the only response to a request on a new connection."""
        connection, transport = self.connect()
        receive(connection, request)
        (body,) = bodies(transport)
        return body
