"""What the engine knows of one connection and of one template. Plain slots: the loop lives here."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import zlib
from collections import deque

from diagnose.load.check import compares_body, looks_into_body
from diagnose.load.histogram import Histogram
from diagnose.load.http1 import Head, Response, ResponseParser
from diagnose.load.requests import Payload, PreparedRequest
from diagnose.load.websocket import FrameParser
from diagnose.model.load import MOST_DISTINCT
from diagnose.model.scenario import Answer, RequestTemplate

LINGER_RESET = struct.pack("ii", 1, 0)
# Shared and never written to: a connection that the fast path must leave alone recognizes nothing.
NOTHING: dict[bytes, int] = {}


# The file repeats from here on: long enough for large slices, and it stays in the cores' cache.
PERIOD = 1 << 20


class SharedBody:
    """A body in an anonymous file in memory, sent to any number of connections by sendfile."""

    def __init__(self, payload: Payload) -> None:
        self.fd = os.memfd_create("diagnose-body", os.MFD_CLOEXEC)
        repeats = max(1, PERIOD // max(1, len(payload.unit)))
        self._period = len(payload.unit) * min(
            repeats, max(1, payload.length // max(1, len(payload.unit)))
        )
        written = 0
        while written < self._period:
            written += os.write(self.fd, payload.unit)
        self._tail_at = self._period
        if payload.tail:
            os.write(self.fd, payload.tail)
        self._length = payload.length
        self.wire_length = payload.wire_length
        self.body_length = payload.body_length

    def _at(self, offset: int, limit: int) -> tuple[int, int]:
        """Where in the file the byte at `offset` of the wire form is, and how many follow it."""
        if offset >= self._length:
            return self._tail_at + offset - self._length, min(limit, self.wire_length - offset)
        start = offset % self._period
        return start, min(limit, self._period - start, self._length - offset)

    def send(self, sock_fd: int, offset: int, limit: int) -> int:
        """Send from `offset` of the wire form; the number of bytes that the kernel took.

        Raises: BlockingIOError, OSError of the socket.
        """
        start, count = self._at(offset, limit)
        return os.sendfile(sock_fd, self.fd, start, count)

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset` of the wire form, for what cannot send from a file."""
        start, count = self._at(offset, limit)
        return os.pread(self.fd, count, start)

    def close(self) -> None:
        """Give the memory back."""
        os.close(self.fd)


# A body that differs from the one before is looked at so often: enough to see how many there are,
# and some milliseconds in all for bodies of 8 KiB.
BODY_LOOKS = 1024
# What is kept of a body that is decoded or parsed, on some connections, and of any other.
KEEP_DEEP = 4 * 1024 * 1024
KEEP_SHALLOW = 64 * 1024
KEEPERS = 8


class TemplateState:
    """A template with its bytes, what was recognized so far as a right answer, and its figures.

    latencies, first_bytes, body_sents: seconds, since the last tick. weight: 1 where an answer is
    required, 0 where anything may come back.
    """

    __slots__ = (
        "answer",
        "any",
        "body",
        "body_bytes",
        "body_digests",
        "body_looks",
        "body_sent",
        "body_sents",
        "checked_at",
        "compares",
        "deep_check",
        "expected",
        "failures",
        "farewell",
        "first",
        "first_byte",
        "first_bytes",
        "good",
        "heads",
        "histogram",
        "keep",
        "known",
        "last_body",
        "latencies",
        "opening",
        "parsed",
        "plain",
        "prepared",
        "recognized",
        "request",
        "responses",
        "template",
        "varies",
        "weight",
    )

    def __init__(self, template: RequestTemplate, prepared: PreparedRequest) -> None:
        self.template = template
        self.prepared = prepared
        self.request = prepared.head
        self.opening = prepared.opening
        self.expected = prepared.expected
        self.varies = prepared.varies
        self.answer = prepared.answer
        self.any = template.expect.answer is Answer.ANY
        self.weight = 0 if self.any else 1
        self.compares = compares_body(template.expect) or prepared.expected is not None
        self.deep_check = looks_into_body(template.expect)
        deep = self.deep_check or template.expect.same
        wanted = len((template.expect.body or "").encode())
        self.keep = KEEP_DEEP if deep else max(KEEP_SHALLOW, 2 * wanted)
        self.body = SharedBody(prepared.payload) if prepared.payload else None
        # One small request with an answer that is required, the same on every connection.
        self.plain = not (self.any or self.varies or self.body or self.opening)
        # The body that all others must equal, where the template wants that.
        self.first: bytes | None = None
        # As known, of an answer that announces the end of the connection.
        self.farewell: bytes | None = None
        # The exact bytes of the last right answer that came whole in one read, body checked.
        self.known: bytes | None = None
        # When a body was last parsed to check it.
        self.checked_at = 0.0
        # Exact bytes of one read that were parsed and found right -> number of responses in them.
        self.good: dict[bytes, int] = {}
        # How often one of them was met since the last tick.
        self.recognized = 0
        # Exact bytes of a head -> the head.
        self.heads: dict[bytes, Head] = {}
        self.latencies: list[float] = []
        self.first_bytes: list[float] = []
        self.body_sents: list[float] = []
        self.histogram = Histogram()
        # Made when there is something to count: they are large, and seldom needed.
        self.first_byte: Histogram | None = None
        self.body_sent: Histogram | None = None
        self.responses = 0
        self.failures = 0
        # Answers that were parsed, the bytes of their bodies, and how these differ.
        self.parsed = 0
        self.body_bytes = 0
        self.body_digests: set[int] = set()
        self.body_looks = 0
        self.last_body: bytes | None = None

    def look(self, response: Response) -> None:
        """See how long the body of an answer is, and whether it is a new one."""
        self.parsed += 1
        self.body_bytes += response.body_length
        body = response.body
        if body is None or body == self.last_body or self.body_looks >= BODY_LOOKS:
            return
        self.last_body = body
        self.body_looks += 1
        if len(self.body_digests) < MOST_DISTINCT:
            self.body_digests.add(len(body) << 32 | zlib.crc32(body))

    def settle(self) -> None:
        """Empty what was timed since the last tick into the histograms."""
        if self.latencies:
            self.histogram.record(self.latencies)
            self.latencies.clear()
        if self.first_bytes:
            self.first_byte = self.first_byte or Histogram()
            self.first_byte.record(self.first_bytes)
            self.first_bytes.clear()
        if self.body_sents:
            self.body_sent = self.body_sent or Histogram()
            self.body_sent.record(self.body_sents)
            self.body_sents.clear()


class Connection:
    """One connection: its socket and where it is in its requests.

    good: what the fast path recognizes on it now, NOTHING while something is under way that it
    must not touch; own: what it recognizes between requests. latest: the exact bytes of one right
    answer, None where good is NOTHING; known: what latest is between requests. request, expected:
    the bytes to send and the body to come back, values filled in. served: responses since it was
    opened; before: those of the sockets that stood in its place earlier. sent: when the oldest
    unanswered request was due; queue: (due, count) of pipelined requests. offset: bytes of the body
    sent, -1 when no body is under way. upgrading: the bytes so far of the answer to a WebSocket
    upgrade, None when none is awaited. shaking: in the TLS handshake. special: its reads need more
    than one plain call. keeper: it keeps long bodies whole, so that they can be checked.
    """

    __slots__ = (
        "announced",
        "before",
        "body_out",
        "connected",
        "expected",
        "fd",
        "good",
        "in_flight",
        "index",
        "keeper",
        "known",
        "lag",
        "last",
        "latest",
        "offset",
        "opened",
        "own",
        "parser",
        "pending",
        "queue",
        "request",
        "sent",
        "served",
        "shaking",
        "sock",
        "special",
        "state",
        "template",
        "timed_out",
        "tls",
        "upgrading",
        "waiting",
        "writing",
    )

    def __init__(self, index: int, template: int, state: TemplateState) -> None:
        self.index = index
        self.template = template
        self.state = state
        self.lag = False
        self.keeper = True
        # In the row of free connections of an open loop; it stays there when it is opened again.
        self.waiting = False
        self.special = False
        self.sock: socket.SocketType | None = None
        self.tls: ssl.SSLSocket | None = None
        self.fd = -1
        self.connected = False
        self.request = state.request
        self.expected = state.expected
        self.own = state.good
        self.known: bytes | None = None
        self.parser: ResponseParser | FrameParser = ResponseParser()
        self.queue: deque[tuple[float, int]] = deque()
        self.before = self.served = 0
        self.clear(0.0)

    def clear(self, now: float) -> None:
        """As just before connecting."""
        # Making them takes longer than all else here, and most connections end between responses.
        if not self.parser.idle or type(self.parser) is FrameParser:
            self.parser = ResponseParser()
        self.keep_bodies()
        if self.queue:
            self.queue.clear()
        self.good = NOTHING
        self.latest: bytes | None = None
        self.in_flight = 0
        self.before += self.served
        self.served = 0
        self.sent = self.last = self.opened = now
        self.pending = b""
        self.offset = -1
        self.body_out = 0
        self.writing = False
        self.announced = False
        self.timed_out = False
        self.upgrading: bytes | None = None
        self.shaking = False

    def keep_bodies(self) -> None:
        """Keep as much of a body as this connection and its template are to."""
        keep = self.state.keep
        self.parser.keep = keep if self.keeper else min(keep, KEEP_SHALLOW)
