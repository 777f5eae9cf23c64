"""The bytes of an HTTP/2 client, and what the bytes of a server mean to it."""

from __future__ import annotations

from dataclasses import dataclass, field

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(5, 10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 1, 1, 4, 8, 32


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def settings(*values: tuple[int, int]) -> bytes:
    payload = b"".join(name.to_bytes(2) + value.to_bytes(4) for name, value in values)
    return frame(SETTINGS, 0, 0, payload)


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4))


@dataclass
class Answer:
    """What arrived on one stream."""

    statuses: list[int] = field(default_factory=list)
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None


class Client:
    """Encodes requests and decodes answers; keeps the state of both header tables."""

    def __init__(self) -> None:
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.pending = b""
        self.answers: dict[int, Answer] = {}
        self.goaway: int | None = None
        self.frames: list[tuple[int, int, int, bytes]] = []

    def block(self, method: bytes, target: bytes, *headers: tuple[bytes, bytes]) -> bytes:
        pseudo = [(b":method", method), (b":path", target), (b":scheme", b"http")]
        return self.encoder.encode([*pseudo, (b":authority", b"x"), *headers])

    def get(self, stream: int, target: bytes, *headers: tuple[bytes, bytes]) -> bytes:
        block = self.block(b"GET", target, *headers)
        return frame(HEADERS, END_HEADERS | END_STREAM, stream, block)

    def post(self, stream: int, target: bytes, *headers: tuple[bytes, bytes]) -> bytes:
        """The beginning of a request whose body follows in DATA frames."""
        return frame(HEADERS, END_HEADERS, stream, self.block(b"POST", target, *headers))

    def feed(self, data: bytes) -> None:
        """Takes what the server sent."""
        self.pending += data
        while len(self.pending) >= 9:
            end = 9 + int.from_bytes(self.pending[:3])
            if len(self.pending) < end:
                return
            kind, flags = self.pending[3], self.pending[4]
            stream, payload = int.from_bytes(self.pending[5:9]), self.pending[9:end]
            self.pending = self.pending[end:]
            self.frames.append((kind, flags, stream, payload))
            self._take(kind, flags, stream, payload)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        assert len(payload) <= 16_384
        answer = self.answers.setdefault(stream, Answer()) if stream else Answer()
        if kind in (HEADERS, DATA):
            assert not answer.ended
            answer.ended = bool(flags & END_STREAM)
        if kind == HEADERS:
            assert flags & END_HEADERS
            headers = dict(self.decoder.decode(payload, raw=True))
            answer.statuses.append(int(headers.pop(b":status")))
            answer.headers = headers
        elif kind == DATA:
            answer.body += payload
        elif kind == RST_STREAM:
            answer.reset = int.from_bytes(payload)
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8])
