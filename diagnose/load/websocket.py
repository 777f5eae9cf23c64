"""WebSocket frames and the opening handshake, without any I/O.

Only what an echo load needs: text messages out, data messages in, fragmented or not. Extensions
are never offered, so that their use is an error.
Source: RFC 6455, sections 4.1 (opening handshake), 5.2 (base framing), 5.4, 5.5.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Sequence

from diagnose.load.http1 import FramingError, Head, Response

# "Not expected to be secret": it only shows that the server speaks the protocol.
KEY = base64.b64encode(b"diagnose-websock").decode()
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ACCEPT = base64.b64encode(hashlib.sha1((KEY + _GUID).encode()).digest()).decode()
MASK = b"\x9d\x41\xe6\x2b"
MAX_MESSAGE = 4 * 1024 * 1024
MAX_FRAGMENTS = 65536
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
# In place of a content type: what kind of message it was.
BINARY = "websocket binary"
_MESSAGE_HEAD = Head(200, None, False, False, "", "")
_BINARY_HEAD = Head(200, None, False, False, BINARY, "")
_CLOSE_HEAD = Head(200, None, False, True, "", "")


def handshake_request(
    target: str, authority: str, headers: Sequence[tuple[str, str]] = ()
) -> bytes:
    """The request that asks for the upgrade."""
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {authority}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def handshake_problem(head: bytes) -> str:
    """Why the answer to the upgrade (without its empty line) is not one; '' when it is right."""
    lines = head.split(b"\r\n")
    if not lines[0].startswith(b"HTTP/1.1 101"):
        return f"upgrade refused: {lines[0][:60].decode('latin-1')}"
    fields = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in lines[1:])
    }
    if fields.get(b"sec-websocket-accept", b"").decode("latin-1") != ACCEPT:
        return "upgrade without the right Sec-WebSocket-Accept"
    if b"sec-websocket-extensions" in fields:
        return "upgrade with an extension that was not offered"
    return ""


def text_frame(message: bytes) -> bytes:
    """The frame that a server sends for a text message."""
    return bytes([0x80 | _TEXT]) + _length(len(message), 0) + message


def masked_text(message: bytes) -> bytes:
    """The frame that a client sends for a text message."""
    return masked(_TEXT, message)


def masked_fragments(parts: Sequence[bytes]) -> list[bytes]:
    """The frames that a client sends for a text message in parts. Source: RFC 6455, 5.4."""
    last = len(parts) - 1
    return [
        masked(_CONTINUATION if number else _TEXT, part, final=number == last)
        for number, part in enumerate(parts)
    ]


def masked(opcode: int, message: bytes, *, final: bool = True) -> bytes:
    """A client's frame. Source: RFC 6455, 5.3: byte i is combined with byte i mod 4 of the key."""
    coded = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(message))
    return bytes([0x80 * final | opcode]) + _length(len(message), 0x80) + MASK + coded


def _length(count: int, flag: int) -> bytes:
    if count < 126:
        return bytes([flag | count])
    if count < 1 << 16:
        return bytes([flag | 126]) + struct.pack(">H", count)
    return bytes([flag | 127]) + struct.pack(">Q", count)


class FrameParser:
    """Turns a stream of bytes, cut anywhere, into messages.

    A message is a Response of status 200; the end of the WebSocket one whose head says `close`.
    """

    __slots__ = ("_buffer", "_head", "_message", "_total", "answers", "keep")

    def __init__(self) -> None:
        self._buffer = b""
        self._message: list[bytes] | None = None
        self._total = 0
        self._head = _MESSAGE_HEAD
        # As of a ResponseParser; messages are bounded by MAX_MESSAGE.
        self.keep = MAX_MESSAGE
        # Frames that the protocol wants sent back: pongs, and the answer to a close.
        self.answers = b""

    @property
    def idle(self) -> bool:
        """Between messages: not one byte of the next one has arrived."""
        return not self._buffer and self._message is None

    def feed(self, data: bytes) -> list[Response]:
        """The messages that these bytes complete.

        Raises: FramingError; the parser is of no further use then.
        """
        data = self._buffer + data
        position = 0
        done: list[Response] = []
        while (frame := _frame(data, position)) is not None:
            opcode, final, payload, position = frame
            response = self._take(opcode, final, payload)
            if response is not None:
                done.append(response)
                if response.head.close:
                    break
        self._buffer = data[position:]
        if self._message is None and len(self._buffer) > MAX_MESSAGE + 14:
            raise FramingError(f"WebSocket frame longer than {MAX_MESSAGE} bytes")
        return done

    def end(self) -> Response | None:
        """The end of the connection: never the end of a message.

        Raises: FramingError when it cuts a message off.
        """
        if self.idle:
            return None
        raise FramingError("the connection ended inside a WebSocket message")

    def _take(self, opcode: int, final: bool, payload: bytes) -> Response | None:
        if opcode >= _CLOSE:
            if not final or len(payload) > 125:
                raise FramingError(f"WebSocket control frame {opcode} is fragmented or too long")
            if opcode == _CLOSE:
                self.answers += masked(_CLOSE, payload)
                return Response(_CLOSE_HEAD, payload, len(payload))
            if opcode == _PING:
                self.answers += masked(_PONG, payload)
            elif opcode != _PONG:
                raise FramingError(f"WebSocket opcode {opcode} is reserved")
            return None
        if (opcode == _CONTINUATION) != (self._message is not None) or opcode > _BINARY:
            raise FramingError(f"WebSocket opcode {opcode} does not follow what came before")
        parts = self._message or []
        parts.append(payload)
        self._total += len(payload)
        if self._total > MAX_MESSAGE or len(parts) > MAX_FRAGMENTS:
            raise FramingError(
                f"WebSocket message longer than {MAX_MESSAGE} bytes or {MAX_FRAGMENTS} fragments"
            )
        if opcode != _CONTINUATION:
            self._head = _BINARY_HEAD if opcode == _BINARY else _MESSAGE_HEAD
        if not final:
            self._message = parts
            return None
        self._message, self._total = None, 0
        message = b"".join(parts)
        return Response(self._head, message, len(message))


def _frame(data: bytes, position: int) -> tuple[int, bool, bytes, int] | None:
    """Opcode, whether final, payload and the position behind a frame; None when it is not whole.

    Raises: FramingError.
    """
    if len(data) - position < 2:
        return None
    first, second = data[position], data[position + 1]
    if first & 0x70:
        raise FramingError("WebSocket frame with reserved bits")
    if second & 0x80:
        raise FramingError("WebSocket frame from a server is masked")
    count = second & 0x7F
    start = position + 2
    if count >= 126:
        size = 2 if count == 126 else 8
        if len(data) - start < size:
            return None
        count = int.from_bytes(data[start : start + size], "big")
        start += size
    if count > MAX_MESSAGE:
        raise FramingError(f"WebSocket frame longer than {MAX_MESSAGE} bytes")
    if len(data) - start < count:
        return None
    return first & 0x0F, bool(first & 0x80), data[start : start + count], start + count
