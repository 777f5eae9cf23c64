"""HTTP/1.x responses from bytes, without any I/O.

Source: RFC 9112, sections 4 (status line), 6.3 (message body length), 7.1 (chunked coding).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_HEAD = 64 * 1024
MAX_CHUNK_LINE = 4096
MAX_LENGTH_DIGITS = 18
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?\Z")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\Z")


class FramingError(ValueError):
    """The bytes are not an HTTP/1.x response, or its framing contradicts itself."""


@dataclass(frozen=True, slots=True)
class Head:
    """A response head. length: bytes of the body, None when chunked or until the connection ends.

    close: the server will end the connection after this response.
    """

    status: int
    length: int | None
    chunked: bool
    close: bool
    content_type: str
    content_encoding: str

    @property
    def until_close(self) -> bool:
        """The body lasts until the connection ends."""
        return self.length is None and not self.chunked


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response. body is None when it was longer than what was to be kept."""

    head: Head
    body: bytes | None
    body_length: int


def parse_head(data: bytes) -> Head:
    """The head whose bytes, up to and without the empty line, are `data`.

    Raises: FramingError.
    """
    lines = data.split(b"\r\n")
    # RFC 9110, 5.5: "Field values containing CR, LF, or NUL characters are invalid and dangerous".
    if b"\0" in data or data.count(b"\r") >= len(lines) or data.count(b"\n") >= len(lines):
        raise FramingError(f"CR, LF or NUL inside a line of the head: {data[:60]!r}")
    match = _STATUS_LINE.match(lines[0])
    if match is None:
        raise FramingError(f"not a status line: {lines[0][:60]!r}")
    status = int(match[2])
    lengths: set[int] = set()
    codings: list[str] = []
    tokens: set[str] = set()
    content_type = content_encoding = ""
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise FramingError(f"not a header line: {line[:60]!r}")
        key = name.lower()
        text = value.strip().decode("latin-1")
        if key == b"content-length":
            if not (text.isascii() and text.isdigit() and len(text) <= MAX_LENGTH_DIGITS):
                raise FramingError(f"Content-Length is not a number: {text[:40]!r}")
            lengths.add(int(text))
        elif key == b"transfer-encoding":
            codings += [coding.strip().lower() for coding in text.split(",")]
        elif key == b"connection":
            tokens |= {token.strip().lower() for token in text.split(",")}
        elif key == b"content-type":
            content_type = text
        elif key == b"content-encoding":
            content_encoding = text.lower()
    if len(lengths) > 1:
        raise FramingError(f"several Content-Length values: {sorted(lengths)}")
    chunked = bool(codings) and codings[-1] == "chunked"
    length = lengths.pop() if lengths and not codings else None
    if status in (204, 304) or status < 200:
        length, chunked = 0, False
    close = "close" in tokens or (match[1] == b"0" and "keep-alive" not in tokens)
    if length is None and not chunked:
        close = True
    return Head(status, length, chunked, close, content_type, content_encoding)


class ResponseParser:
    """Turns a stream of bytes, cut anywhere, into responses.

    Interim responses (1xx) are passed over. Bodies up to `keep` bytes are kept; longer ones are
    only counted, so that a parser never grows with what the server sends.
    """

    __slots__ = ("_body", "_buffer", "_head", "_left", "_state", "_total", "keep")

    def __init__(self, keep: int = 4 * 1024 * 1024) -> None:
        self.keep = keep
        self._buffer = b""
        self._reset()

    def _reset(self) -> None:
        self._head: Head | None = None
        self._state = "head"
        self._left = 0
        self._total = 0
        self._body: bytearray | None = bytearray()

    @property
    def idle(self) -> bool:
        """Between responses: not one byte of the next one has arrived."""
        return self._state == "head" and not self._buffer

    def feed(self, data: bytes) -> list[Response]:
        """The responses that these bytes complete.

        Raises: FramingError; the parser is of no further use then.
        """
        searched = 0
        if self._buffer:
            # What was searched before for the end of the head needs no second look.
            searched = len(self._buffer) - 3
            data = self._buffer + data
            self._buffer = b""
        done: list[Response] = []
        position = 0
        while position < len(data):
            if self._state == "head":
                end = data.find(b"\r\n\r\n", max(position, searched))
                if (len(data) if end < 0 else end) - position > MAX_HEAD:
                    raise FramingError(f"response head longer than {MAX_HEAD} bytes")
                if end < 0:
                    if data[position : position + 5] != b"HTTP/"[: len(data) - position]:
                        start = data[position : position + 60]
                        raise FramingError(f"not an HTTP/1.x response: {start!r}")
                    break
                head = parse_head(data[position:end])
                position = end + 4
                if head.status < 200 and head.status != 101:
                    continue
                self._begin(head)
            elif self._state == "body":
                taken = min(self._left, len(data) - position)
                self._take(data, position, taken)
                position += taken
                self._left -= taken
            elif self._state == "until_close":
                self._take(data, position, len(data) - position)
                position = len(data)
            else:
                following = self._chunked(data, position)
                if following < 0:
                    break
                position = following
            if self._state in ("body", "done") and self._left == 0:
                done.append(self._finish())
        self._buffer = data[position:]
        return done

    def end(self) -> Response | None:
        """The response that the end of the connection completes, or None between responses.

        Raises: FramingError when it cuts a response off.
        """
        if self._state == "until_close":
            return self._finish()
        if self.idle:
            return None
        raise FramingError("the connection ended inside a response")

    def _begin(self, head: Head) -> None:
        self._head = head
        if head.chunked:
            self._state = "chunk_size"
        elif head.length is None:
            self._state = "until_close"
        else:
            self._state = "body"
            self._left = head.length

    def _take(self, data: bytes, position: int, count: int) -> None:
        self._total += count
        if self._body is None or not count:
            return
        if self._total > self.keep:
            self._body = None
        else:
            self._body += data[position : position + count]

    def _chunked(self, data: bytes, position: int) -> int:
        """The position after one more element of a chunked body; -1 when bytes are missing."""
        if self._state == "chunk_data":
            taken = min(self._left, len(data) - position)
            self._take(data, position, taken)
            self._left -= taken
            if self._left == 0:
                self._state = "chunk_end"
            return position + taken
        if self._state == "chunk_end":
            if len(data) - position < 2:
                return -1
            if data[position : position + 2] != b"\r\n":
                raise FramingError(f"chunk is not ended by CRLF: {data[position : position + 8]!r}")
            self._state = "chunk_size"
            return position + 2
        end = data.find(b"\r\n", position)
        if (len(data) if end < 0 else end) - position > MAX_CHUNK_LINE:
            raise FramingError(f"chunk size or trailer line longer than {MAX_CHUNK_LINE} bytes")
        if end < 0:
            return -1
        line = data[position:end]
        if self._state == "trailer":
            self._left += len(line) + 2
            if self._left > MAX_HEAD:
                raise FramingError(f"trailers longer than {MAX_HEAD} bytes")
        if self._state == "chunk_size":
            match = _CHUNK_SIZE.match(line)
            if match is None:
                raise FramingError(f"bad chunk size: {line[:40]!r}")
            self._left = int(match[1], 16)
            self._state = "chunk_data" if self._left else "trailer"
        elif not line:
            self._state = "done"
            self._left = 0
        return end + 2

    def _finish(self) -> Response:
        assert self._head is not None
        body = None if self._body is None else bytes(self._body)
        response = Response(self._head, body, self._total)
        self._reset()
        return response
