"""The WebSocket echo (RFC 6455): the handshake, the frames, and one connection that echoes.

Written out here because the library at hand, wsproto, takes 8 times as long for a frame (9.7
against 1.1 us), and because an echo needs so little: no extensions, no subprotocols.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from http import HTTPStatus
from typing import cast

from reference_server.messages import HttpError, Request, Upgrade
from reference_server.shared import Shared

# RFC 6455, 1.3: this is appended to the key of the client, and the hash is the answer.
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION = b"13"
# Both frames and messages; more would let one connection fill the memory.
MAX_MESSAGE_BYTES = 1024 * 1024
# RFC 6455, 5.5: "All control frames MUST have a payload length of 125 bytes or less".
MAX_CONTROL_BYTES = 125

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RESERVED, OPCODE, CONTROL = 0x80, 0x70, 0x0F, 0x08
MASKED, LENGTH = 0x80, 0x7F

# RFC 6455, 7.4.1, and the registry of close codes that it set up.
GOING_AWAY, PROTOCOL_ERROR, NO_STATUS, INVALID_DATA, TOO_BIG = 1001, 1002, 1005, 1007, 1009
SENDABLE_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


class FrameError(Exception):
    """The peer broke the protocol or a limit; `code` is what the connection is closed with."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def accept_key(key: bytes) -> bytes:
    """The Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())


def tokens(value: bytes) -> set[bytes]:
    """The members of a comma-separated header, in lower case."""
    return {each.strip() for each in value.lower().split(b",")}


def websocket(request: Request) -> Upgrade:
    """Agrees to switch to the echo; refuses with 426 or 400 what is no handshake."""
    if (
        request.method != b"GET"
        or b"websocket" not in tokens(request.header(b"upgrade"))
        or b"upgrade" not in tokens(request.header(b"connection"))
        or request.header(b"sec-websocket-version") != VERSION
    ):
        # RFC 9110, 15.5.22: the answer says which protocol and version would do.
        raise HttpError(
            HTTPStatus.UPGRADE_REQUIRED,
            (
                (b"Connection", b"Upgrade"),
                (b"Upgrade", b"websocket"),
                (b"Sec-WebSocket-Version", VERSION),
            ),
        )
    key = request.header(b"sec-websocket-key")
    try:
        nonce = base64.b64decode(key, validate=True)
    except binascii.Error:
        raise HttpError(HTTPStatus.BAD_REQUEST) from None
    if len(nonce) != 16:
        raise HttpError(HTTPStatus.BAD_REQUEST)
    headers = ((b"Upgrade", b"websocket"), (b"Sec-WebSocket-Accept", accept_key(key)))
    return Upgrade(EchoConnection, headers)


def unmask(payload: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """The payload as it was before the client masked it, or the other way round."""
    size = len(payload)
    # One operation on long integers instead of one for each byte: 0.3 us for a small frame.
    pattern = (mask * (size // 4 + 1))[:size]
    plain = int.from_bytes(payload, "little") ^ int.from_bytes(pattern, "little")
    return plain.to_bytes(size, "little")


def frame(opcode: int, payload: bytes) -> bytes:
    """A whole message as one frame of a server, which is not masked."""
    size = len(payload)
    if size <= 125:
        return b"%c%c%b" % (FIN | opcode, size, payload)
    if size < 1 << 16:
        return b"%c\x7e%b%b" % (FIN | opcode, size.to_bytes(2), payload)
    return b"%c\x7f%b%b" % (FIN | opcode, size.to_bytes(8), payload)


def close_frame(code: int) -> bytes:
    """A close frame without a reason; NO_STATUS stands for one without a code."""
    return frame(CLOSE, b"" if code == NO_STATUS else code.to_bytes(2))


def close_code(payload: bytes) -> int:
    """The code to answer a close frame with, which is the code that it brought.

    Raises: FrameError when the payload is not what a close frame may hold.
    """
    if not payload:
        return NO_STATUS
    code = int.from_bytes(payload[:2])
    if len(payload) < 2 or code not in SENDABLE_CODES:
        raise FrameError(PROTOCOL_ERROR)
    check_text(payload[2:])
    return code


def check_text(payload: bytes) -> None:
    """Raises: FrameError when the bytes are not UTF-8."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        raise FrameError(INVALID_DATA) from None


class Echo:
    """Turns the bytes of a client into the bytes of the answer; touches no socket.

    `closed` is set when the last thing to send is a close frame.
    """

    __slots__ = ("_message", "_opcode", "_pending", "closed")

    def __init__(self) -> None:
        self._pending = bytearray()  # The beginning of a frame that has not arrived entirely.
        self._message = bytearray()  # The fragments of a message so far.
        self._opcode = CONTINUATION  # Its type; CONTINUATION while there is none.
        self.closed = False

    def feed(self, data: bytes | memoryview) -> bytes:
        """The answers to all frames that are complete with `data`, together."""
        if self.closed:
            return b""  # RFC 6455, 5.5.1: nothing is sent after a close frame.
        self._pending += data
        output: list[bytes] = []
        position = 0
        try:
            while not self.closed and (end := self._frame_end(position)):
                self._answer(position, end, output)
                position = end
        except FrameError as error:
            self.closed = True
            output.append(close_frame(error.code))
        # Once for all frames: what lies behind is moved to the front each time.
        del self._pending[:position]
        return b"".join(output)

    def _frame_end(self, start: int) -> int:
        """Where the frame at `start` ends; 0 when it has not arrived entirely."""
        data = self._pending
        size = len(data) - start
        if size < 2:
            return 0
        first, second = data[start], data[start + 1]
        length = second & LENGTH
        # RFC 6455, 5.1: "a server MUST close the connection upon receiving a frame that is not
        # masked". No extension was agreed on, so the reserved bits have no meaning.
        if first & RESERVED or not second & MASKED:
            raise FrameError(PROTOCOL_ERROR)
        if first & CONTROL and (length > MAX_CONTROL_BYTES or not first & FIN):
            raise FrameError(PROTOCOL_ERROR)
        head = 6
        if length > 125:
            head = 8 if length == 126 else 14
            if size < head:
                return 0
            length = int.from_bytes(data[start + 2 : start + head - 4])
            # Before any of it is kept.
            if length > MAX_MESSAGE_BYTES:
                raise FrameError(TOO_BIG)
        return start + head + length if size >= head + length else 0

    def _answer(self, start: int, end: int, output: list[bytes]) -> None:
        data = self._pending
        first, length = data[start], data[start + 1] & LENGTH
        begin = start + (6 if length < 126 else 8 if length == 126 else 14)
        payload = unmask(data[begin:end], data[begin - 4 : begin])
        opcode = first & OPCODE
        if opcode & CONTROL:
            if opcode == PING:
                output.append(frame(PONG, payload))
            elif opcode == CLOSE:
                output.append(close_frame(close_code(payload)))
                self.closed = True
            elif opcode != PONG:
                raise FrameError(PROTOCOL_ERROR)
            return
        # A message begins with its type, and goes on with continuations until FIN.
        if opcode > BINARY or (opcode == CONTINUATION) == (self._opcode == CONTINUATION):
            raise FrameError(PROTOCOL_ERROR)
        if opcode == CONTINUATION or not first & FIN:
            self._message += payload
            self._opcode = self._opcode or opcode
            if len(self._message) > MAX_MESSAGE_BYTES:
                raise FrameError(TOO_BIG)
            if not first & FIN:
                return
            payload, opcode = bytes(self._message), self._opcode
            self._message.clear()
            self._opcode = CONTINUATION
        if opcode == TEXT:
            check_text(payload)
        output.append(frame(opcode, payload))


class EchoConnection(asyncio.BufferedProtocol):
    """A connection after the handshake."""

    __slots__ = ("_echo", "_transport", "shared")

    _transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self._echo = Echo()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection was handed over."""
        self._transport = cast("asyncio.Transport", transport)
        self.shared.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.shared.connections.discard(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes are read into."""
        return self.shared.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Answers what one read brought in one write."""
        if answer := self._echo.feed(self.shared.buffer[:nbytes]):
            self._transport.write(answer)
        if self._echo.closed:
            # RFC 6455, 7.1.1: the server is the one to close the connection.
            self._transport.close()

    def pause_writing(self) -> None:
        """The client sends, but does not read its echo: it has to wait with sending."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if not self._echo.closed:
            self._transport.resume_reading()

    def drain(self) -> None:
        """Says goodbye and ends the connection; what is half received will not be echoed."""
        if not self._echo.closed:
            self._echo.closed = True
            self._transport.write(close_frame(GOING_AWAY))
            self._transport.close()

    def abort(self) -> None:
        """Ends the connection now."""
        self._transport.abort()
