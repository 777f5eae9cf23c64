"""WebSocket messages, without any I/O.

Only what an echo load needs: text messages out, data messages in, fragmented or not. Extensions
are never offered, so that their use is an error.
Source: RFC 6455, sections 5.4 (fragmentation), 5.5 (control frames).
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnose.load.http1 import FramingError, Head, Response
from diagnose.websocket import BINARY as BINARY_FRAME
from diagnose.websocket import CLOSE, CONTINUATION, PING, PONG, TEXT, length, masked, server_frame

MAX_MESSAGE = 4 * 1024 * 1024
MAX_FRAGMENTS = 65536
# In place of a content type: what kind of message it was.
BINARY = "websocket binary"
_MESSAGE_HEAD = Head(200, None, False, False, "", "")
_BINARY_HEAD = Head(200, None, False, False, BINARY, "")
_CLOSE_HEAD = Head(200, None, False, True, "", "")


def text_frame(message: bytes) -> bytes:
    """The frame that a server sends for a text message."""
    return bytes([0x80 | TEXT]) + length(len(message), 0) + message


def masked_text(message: bytes) -> bytes:
    """The frame that a client sends for a text message."""
    return masked(TEXT, message)


def masked_fragments(parts: Sequence[bytes]) -> list[bytes]:
    """The frames that a client sends for a text message in parts. Source: RFC 6455, 5.4."""
    last = len(parts) - 1
    return [
        masked(CONTINUATION if number else TEXT, part, final=number == last)
        for number, part in enumerate(parts)
    ]


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
        if opcode >= CLOSE:
            if not final or len(payload) > 125:
                raise FramingError(f"WebSocket control frame {opcode} is fragmented or too long")
            if opcode == CLOSE:
                self.answers += masked(CLOSE, payload)
                return Response(_CLOSE_HEAD, payload, len(payload))
            if opcode == PING:
                self.answers += masked(PONG, payload)
            elif opcode != PONG:
                raise FramingError(f"WebSocket opcode {opcode} is reserved")
            return None
        if (opcode == CONTINUATION) != (self._message is not None) or opcode > BINARY_FRAME:
            raise FramingError(f"WebSocket opcode {opcode} does not follow what came before")
        parts = self._message or []
        parts.append(payload)
        self._total += len(payload)
        if self._total > MAX_MESSAGE or len(parts) > MAX_FRAGMENTS:
            raise FramingError(
                f"WebSocket message longer than {MAX_MESSAGE} bytes or {MAX_FRAGMENTS} fragments"
            )
        if opcode != CONTINUATION:
            self._head = _BINARY_HEAD if opcode == BINARY_FRAME else _MESSAGE_HEAD
        if not final:
            self._message = parts
            return None
        self._message, self._total = None, 0
        message = b"".join(parts)
        return Response(self._head, message, len(message))


def _frame(data: bytes, position: int) -> tuple[int, bool, bytes, int] | None:
    """A frame as `server_frame` gives it.

    Raises: FramingError.
    """
    try:
        return server_frame(data, position, MAX_MESSAGE)
    except ValueError as problem:
        raise FramingError(str(problem)) from None
