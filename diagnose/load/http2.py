"""Just enough HTTP/2 to ask a few GETs on one connection and read the answers, without any I/O.

Source: RFC 9113, sections 3.4 (preface), 4.1 (frames), 5.1 (streams), 6 (frame types), 8.3.2
(pseudo-header fields); RFC 7541 by the library hpack.
"""

from __future__ import annotations

from collections.abc import Sequence

import hpack

from diagnose.load.http1 import FramingError, Head, Response

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEAD = 9
# RFC 9113, 4.2 and 6.5.2: what a server may send as long as we announce nothing else.
MAX_FRAME = 16_384
_DATA, _HEADERS, _RST_STREAM, _SETTINGS = 0, 1, 3, 4
_PUSH_PROMISE, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 5, 6, 7, 8, 9
_END_STREAM = _ACK = 1
_END_HEADERS, _PADDED, _PRIORITY = 4, 8, 32
_ENABLE_PUSH, _INITIAL_WINDOW_SIZE = 2, 4
# Larger than all answers together, so that no window has to be opened again.
WINDOW = 8 * 1024 * 1024
DEFAULT_WINDOW = 65_535
MAX_HEADERS = 64 * 1024


def gets(targets: Sequence[str], authority: str, scheme: str) -> bytes:
    """The beginning of a connection with a GET for each target, on the streams 1, 3, 5 ..."""
    values = ((_ENABLE_PUSH, 0), (_INITIAL_WINDOW_SIZE, WINDOW))
    settings = b"".join(name.to_bytes(2) + value.to_bytes(4) for name, value in values)
    opened = (WINDOW - DEFAULT_WINDOW).to_bytes(4)
    encoder = hpack.Encoder()
    frames = [PREFACE, _frame(_SETTINGS, 0, 0, settings), _frame(_WINDOW_UPDATE, 0, 0, opened)]
    for number, target in enumerate(targets):
        fields = [
            *((":method", "GET"), (":scheme", scheme)),
            *((":authority", authority), (":path", target)),
        ]
        block = encoder.encode(fields)
        frames.append(_frame(_HEADERS, _END_STREAM | _END_HEADERS, 2 * number + 1, block))
    return b"".join(frames)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


class _Stream:
    def __init__(self) -> None:
        self.head: Head | None = None
        self.body = bytearray()
        self.ended = False


class Http2Reader:
    """Responses in the order of their requests; they may arrive in any."""

    def __init__(self) -> None:
        self._decoder = hpack.Decoder(max_header_list_size=MAX_HEADERS)
        self._buffer = b""
        self._owed = b""
        self._begun = False
        # The stream and the flags of a header block that is not complete.
        self._open: tuple[int, int] | None = None
        self._block = b""
        self._streams: dict[int, _Stream] = {}
        self._next = 1

    def feed(self, data: bytes) -> list[Response]:
        """The responses that these bytes complete.

        Raises: FramingError; the reader is of no further use then.
        """
        data = self._buffer + data
        position = 0
        while len(data) - position >= FRAME_HEAD:
            size = int.from_bytes(data[position : position + 3])
            kind, flags = data[position + 3], data[position + 4]
            stream = int.from_bytes(data[position + 5 : position + 9]) & 0x7FFF_FFFF
            if not self._begun and kind != _SETTINGS:
                raise FramingError(f"not HTTP/2: {data[:60]!r}")
            self._begun = True
            if size > MAX_FRAME:
                raise FramingError(f"HTTP/2 frame of {size} bytes, at most {MAX_FRAME} are allowed")
            end = position + FRAME_HEAD + size
            if len(data) < end:
                break
            self._take(kind, flags, stream, data[position + FRAME_HEAD : end])
            position = end
        self._buffer = data[position:]
        return self._complete()

    def end(self) -> Response | None:
        """The end of the connection: never the end of a response.

        Raises: FramingError when it cuts one off.
        """
        if self._buffer or self._streams:
            raise FramingError("the connection ended inside a response")
        return None

    def owed(self) -> bytes:
        """Acknowledgments of SETTINGS and PING."""
        owed, self._owed = self._owed, b""
        return owed

    def _complete(self) -> list[Response]:
        done = []
        while (stream := self._streams.get(self._next)) is not None and stream.ended:
            if stream.head is None:
                raise FramingError("HTTP/2 stream without a response head")
            body = bytes(self._streams.pop(self._next).body)
            done.append(Response(stream.head, body, len(body)))
            self._next += 2
        return done

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if (self._open is not None) != (kind == _CONTINUATION):
            raise FramingError(f"HTTP/2 frame of type {kind} in the wrong place of a header block")
        if kind == _SETTINGS and not flags & _ACK:
            self._owed += _frame(_SETTINGS, _ACK, 0, b"")
        elif kind == _PING and not flags & _ACK:
            self._owed += _frame(_PING, _ACK, 0, payload)
        elif kind == _GOAWAY and (code := int.from_bytes(payload[4:8])):
            raise FramingError(f"HTTP/2 connection ended by the server with error {code}")
        elif kind == _PUSH_PROMISE:
            raise FramingError("HTTP/2 push, which was switched off")
        elif kind == _RST_STREAM:
            # A stream that was answered may be reset: the server wants nothing more of it.
            if number >= self._next and not self._ended(number):
                code = int.from_bytes(payload)
                raise FramingError(f"HTTP/2 stream {number} was reset with error {code}")
        elif kind in (_DATA, _HEADERS):
            if number % 2 == 0 or number < self._next:
                raise FramingError(f"HTTP/2 frame of type {kind} on stream {number}, not asked for")
            content = _unpadded(flags, payload, prioritized=kind == _HEADERS)
            if kind == _HEADERS:
                self._open, self._block = (number, flags), content
                self._close_block(flags)
            else:
                self._add(number, content, ended=bool(flags & _END_STREAM))
        elif kind == _CONTINUATION:
            self._block += payload
            if len(self._block) > MAX_HEADERS:
                raise FramingError(f"HTTP/2 header block longer than {MAX_HEADERS} bytes")
            self._close_block(flags)

    def _ended(self, number: int) -> bool:
        return number in self._streams and self._streams[number].ended

    def _add(self, number: int, data: bytes, ended: bool) -> None:
        stream = self._streams.setdefault(number, _Stream())
        if stream.head is None or stream.ended:
            raise FramingError(f"HTTP/2 data on stream {number} before its head or after its end")
        stream.body += data
        if sum(len(each.body) for each in self._streams.values()) > WINDOW:
            raise FramingError("HTTP/2 data beyond the window")
        stream.ended = ended

    def _close_block(self, flags: int) -> None:
        if not flags & _END_HEADERS or self._open is None:
            return
        number, first_flags = self._open
        self._open = None
        try:
            fields = self._decoder.decode(self._block, raw=True)
        except hpack.HPACKError as error:
            raise FramingError(f"HTTP/2 header block cannot be decoded: {error}") from error
        stream = self._streams.setdefault(number, _Stream())
        if stream.ended:
            raise FramingError(f"HTTP/2 headers on stream {number} after its end")
        if stream.head is None:
            head = _head([(bytes(field[0]), bytes(field[1])) for field in fields])
            # RFC 9113, 8.1: interim responses come before the final one; trailers after it.
            stream.head = head if head.status >= 200 else None
        stream.ended = bool(first_flags & _END_STREAM)


def _unpadded(flags: int, payload: bytes, *, prioritized: bool) -> bytes:
    if flags & _PADDED:
        if not payload or payload[0] >= len(payload):
            raise FramingError("HTTP/2 padding longer than its frame")
        payload = payload[1 : len(payload) - payload[0]]
    return payload[5:] if prioritized and flags & _PRIORITY else payload


def _head(fields: Sequence[tuple[bytes, bytes]]) -> Head:
    known = {name.lower(): value.decode("latin-1") for name, value in fields}
    status = known.get(b":status", "")
    if not (len(status) == 3 and status.isascii() and status.isdigit()):
        raise FramingError(f"HTTP/2 response with the status {status!r}")
    return Head(
        status=int(status),
        length=None,
        chunked=False,
        close=False,
        content_type=known.get(b"content-type", ""),
        content_encoding=known.get(b"content-encoding", "").lower(),
    )
