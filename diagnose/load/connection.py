"""What the engine knows of one connection and of one template. Plain slots: the loop lives here."""

from __future__ import annotations

import os
import socket
import struct
from collections import deque

from diagnose.load.histogram import Histogram
from diagnose.load.http1 import Head, ResponseParser
from diagnose.load.requests import Payload, PreparedRequest
from diagnose.model.scenario import RequestTemplate

_LINGER_RESET = struct.pack("ii", 1, 0)


class SharedBody:
    """A body in an anonymous file in memory, sent to any number of connections by sendfile."""

    def __init__(self, payload: Payload) -> None:
        self.fd = os.memfd_create("diagnose-body", os.MFD_CLOEXEC)
        repeats = max(1, (8 << 20) // max(1, len(payload.unit)))
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

    def send(self, sock_fd: int, offset: int, limit: int) -> int:
        """Send from `offset` of the wire form; the number of bytes that the kernel took.

        Raises: BlockingIOError, OSError of the socket.
        """
        if offset >= self._length:
            start = self._tail_at + offset - self._length
            return os.sendfile(sock_fd, self.fd, start, min(limit, self.wire_length - offset))
        start = offset % self._period
        count = min(limit, self._period - start, self._length - offset)
        return os.sendfile(sock_fd, self.fd, start, count)

    def close(self) -> None:
        """Give the memory back."""
        os.close(self.fd)


class TemplateState:
    """A template with its bytes, what was recognized so far as a right answer, and its figures."""

    __slots__ = (
        "body",
        "failures",
        "good",
        "heads",
        "histogram",
        "latencies",
        "recognized",
        "request",
        "responses",
        "template",
    )

    def __init__(self, template: RequestTemplate, prepared: PreparedRequest) -> None:
        self.template = template
        self.request = prepared.head
        self.body = SharedBody(prepared.payload) if prepared.payload else None
        # Exact bytes of one read that were parsed and found right -> number of responses in them.
        self.good: dict[bytes, int] = {}
        # How often one of them was met since the last tick.
        self.recognized = 0
        # Exact bytes of a head -> the head.
        self.heads: dict[bytes, Head] = {}
        self.latencies: list[float] = []
        self.histogram = Histogram()
        self.responses = 0
        self.failures = 0


class Connection:
    """One connection: its socket and where it is in its requests.

    sent: when the oldest unanswered request was due; queue: (due, count) of pipelined requests.
    offset: bytes of the body sent, -1 when no body is under way. partial: a response has begun to
    arrive and is not complete.
    """

    __slots__ = (
        "announced",
        "body_out",
        "connected",
        "fd",
        "in_flight",
        "index",
        "lag",
        "last",
        "offset",
        "opened",
        "parser",
        "partial",
        "pending",
        "queue",
        "sent",
        "served",
        "sock",
        "state",
        "template",
        "timed_out",
        "writing",
    )

    def __init__(self, index: int, template: int, state: TemplateState) -> None:
        self.index = index
        self.template = template
        self.state = state
        self.lag = False
        self.sock: socket.socket | None = None
        self.fd = -1
        self.connected = False
        self.clear(0.0)

    def clear(self, now: float) -> None:
        """As just before connecting."""
        self.parser = ResponseParser()
        self.partial = False
        self.queue: deque[tuple[float, int]] = deque()
        self.in_flight = 0
        self.served = 0
        self.sent = self.last = self.opened = now
        self.pending = b""
        self.offset = -1
        self.body_out = 0
        self.writing = False
        self.announced = False
        self.timed_out = False


def open_socket(family: socket.AddressFamily) -> socket.socket:
    """A non-blocking TCP socket whose close sends a reset, so that the client keeps no TIME_WAIT.

    The benchmark's generator closes the same way.
    """
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
    return sock
