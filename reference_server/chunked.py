"""Chunked bodies (RFC 9112, 7.1), decoded as they arrive; touches no socket."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus

from reference_server.messages import HttpError

# chunk = chunk-size [ chunk-ext ] CRLF; 15 digits are more than any body, and fit every integer.
SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\r\n\0]*)?\r\n")
MAX_LINE_BYTES = 1024
MAX_TRAILER_BYTES = 8 * 1024
END = b"\r\n"
# The end of a chunk, the last chunk, and no trailer.
LAST_CHUNK = b"\r\n0\r\n\r\n"


def only_chunk(data: bytes, position: int) -> tuple[bytes, int]:
    """The content of a body that is one chunk and is there entirely, and the position behind it;
    position 0 for every other body, which is for the decoder."""
    size_line = SIZE_LINE.match(data, position)
    if size_line is None:
        return b"", 0
    start = size_line.end()
    end = start + int(size_line[1], 16)
    behind = end + len(LAST_CHUNK)
    if end == start or data[end:behind] != LAST_CHUNK:
        return b"", 0
    return data[start:end], behind


class ChunkedDecoder:
    """Hands on the content of one body; `done` when its last byte was seen."""

    __slots__ = ("_feed", "_left", "_line", "_trailer", "_trailer_bytes", "done")

    def __init__(self, feed: Callable[[bytes], None]) -> None:
        self._feed = feed
        self._left = 0  # Of the current chunk, its CRLF included.
        self._line = b""  # The beginning of a line that has not arrived entirely.
        self._trailer = False  # Behind the last chunk.
        self._trailer_bytes = 0
        self.done = False

    def decode(self, data: bytes, position: int) -> int:
        """Takes what belongs to the body; the position behind it.

        Raises: HttpError (400, 431) for what is no chunked body.
        """
        size = len(data)
        while position < size and not self.done:
            left = self._left
            if left:
                position = self._content(data, position, left)
                continue
            end = data.find(b"\n", position) + 1
            if not end:
                self._line += data[position:]
                self._check_length(self._line)
                return size
            line = self._line + data[position:end] if self._line else data[position:end]
            self._line = b""
            position = end
            if self._trailer:
                self._end_trailer(line)
                continue
            self._check_length(line)
            match = SIZE_LINE.fullmatch(line)
            if match is None:
                raise HttpError(HTTPStatus.BAD_REQUEST)
            length = int(match[1], 16)
            if length:
                self._left = length + 2
            else:
                self._trailer = True
        return position

    def _content(self, data: bytes, position: int, left: int) -> int:
        """A chunk, or a piece of it, and the CRLF behind it."""
        content = left - 2
        if content > 0:
            piece = data[position : position + content]
            self._feed(piece)
            self._left = left = left - len(piece)
            position += len(piece)
        if left <= 2:
            rest = data[position : position + left]
            if not END[2 - left :].startswith(rest):
                raise HttpError(HTTPStatus.BAD_REQUEST)
            self._left = left - len(rest)
            position += len(rest)
        return position

    def _end_trailer(self, line: bytes) -> None:
        """Trailer fields are dropped; an empty line ends the body."""
        if not line.endswith(END):
            raise HttpError(HTTPStatus.BAD_REQUEST)
        self._trailer_bytes += len(line)
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self.done = line == END

    def _check_length(self, line: bytes) -> None:
        if len(line) > (MAX_TRAILER_BYTES if self._trailer else MAX_LINE_BYTES):
            raise HttpError(HTTPStatus.BAD_REQUEST)
