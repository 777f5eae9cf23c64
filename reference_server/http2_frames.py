"""The bytes of HTTP/2: frames (RFC 9113) and the header blocks of responses (RFC 7541)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0x0, 0x1, 0x2, 0x3, 0x4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0x5, 0x6, 0x7, 0x8, 0x9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20

NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED = 0x0, 0x1, 0x3, 0x5
FRAME_SIZE_ERROR, REFUSED_STREAM, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 0x6, 0x7, 0x9, 0xB

ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 0x2, 0x3, 0x4, 0x5

# What both sides start with: RFC 9113, 6.5.2. It is also the most that is ever sent here.
DEFAULT_WINDOW = 65_535
MAX_WINDOW = 2**31 - 1
MAX_FRAME_BYTES = 16_384

# Length (24 bits) and type, flags, reserved bit and stream.
FRAME_HEAD = struct.Struct(">IBI")
HEAD_BYTES = FRAME_HEAD.size

# RFC 7541, appendix A: places in the static table.
STATUS_INDEX = {200: 8, 204: 9, 206: 10, 304: 11, 400: 12, 404: 13, 500: 14}
STATUS_NAME = 8
NAMES = {
    b"allow": 22,
    b"content-encoding": 26,
    b"content-length": 28,
    b"content-type": 31,
    b"date": 33,
    b"server": 54,
    b"vary": 59,
}
# RFC 9113, 8.2.2: a message must not have them.
CONNECTION_HEADERS = {
    *(b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
}


class ConnectionBroken(Exception):
    """Ends the connection; `code` goes into the GOAWAY frame."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes | memoryview = b"") -> bytes:
    """One frame; stream 0 is the connection."""
    return FRAME_HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *each) for each in values))


def number(kind: int, stream: int, value: int) -> bytes:
    """A WINDOW_UPDATE or RST_STREAM frame, which hold one number."""
    return frame(kind, 0, stream, value.to_bytes(4))


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload of a DATA or HEADERS frame without its padding.

    Raises: ConnectionBroken when the padding is longer than the frame.
    """
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionBroken(PROTOCOL_ERROR)
    return payload[1 : len(payload) - payload[0]]


def prefixed(value: int, bits: int, first: int = 0) -> bytes:
    """RFC 7541, 5.1: an integer whose first byte shares its high bits with `first`."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    encoded = [first | limit]
    value -= limit
    while value >= 128:
        encoded.append(value % 128 + 128)
        value //= 128
    return bytes([*encoded, value])


def string(text: bytes) -> bytes:
    """RFC 7541, 5.2: a string as it is; the few bytes that Huffman codes save cost more time."""
    return prefixed(len(text), 7) + text


# Name and length prefix of each known header: RFC 7541, 6.2.2, "literal without indexing", which
# leaves no state behind that the next block would depend on.
NAME_BYTES = {name: prefixed(index, 4) for name, index in NAMES.items()}
STATUS_BYTES = {status: prefixed(index, 7, 0x80) for status, index in STATUS_INDEX.items()}


def header_block(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The header block of a response, without what only HTTP/1.1 has."""
    known = STATUS_BYTES.get(status)
    parts = [known or prefixed(STATUS_NAME, 4) + string(b"%d" % status)]
    for name, value in headers:
        lower = name.lower()
        if lower not in CONNECTION_HEADERS:
            parts.append(NAME_BYTES.get(lower) or b"\0" + string(lower))
            parts.append(string(value))
    return b"".join(parts)
