"""What the connections of one worker have in common."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus

from reference_server.messages import STATUS_LINES, Routes, Served
from reference_server.request_head import Heads

# One read takes at most this much: large enough that an upload is not slowed down by system calls.
READ_BYTES = 128 * 1024


# Of the lines below; there are few, as most are constants.
MOST_LINES = 256

Headers = tuple[tuple[bytes, bytes], ...]


def header_lines(headers: Headers) -> bytes:
    """Headers as they are sent, each with its end of line."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class Shared:
    """What the connections of one worker have in common."""

    def __init__(self, routes: Routes) -> None:
        self.routes = routes
        self.heads = Heads(routes)
        self.connections: set[Served] = set()
        # One buffer serves every connection: the event loop reads into it and hands it over before
        # it reads from the next one. So 512 uploads at once need no more memory than one.
        self.buffer = memoryview(bytearray(READ_BYTES))
        self.date = b""
        self.second_ends = 0.0
        self._response_heads: dict[tuple[int, bytes], bytes] = {}
        # Those of the status 200, by content type: most answers begin with one of them.
        self.ok_heads: dict[bytes, bytes] = {}
        self._lines: dict[Headers, bytes] = {}
        self.look_at_the_clock()

    def header_lines(self, headers: Headers) -> bytes:
        """The same as the function of this name, remembered."""
        lines = self._lines.get(headers)
        if lines is None:
            if len(self._lines) >= MOST_LINES:
                self._lines.clear()
            self._lines[headers] = lines = header_lines(headers)
        return lines

    def look_at_the_clock(self) -> None:
        """Makes the Date header anew when another second has begun."""
        now = time.time()
        if now < self.second_ends:
            return
        second = int(now)
        self.second_ends = second + 1.0
        self.date = formatdate(second, usegmt=True).encode()
        self._response_heads.clear()
        self.ok_heads.clear()

    def response_head(self, status: int, content_type: bytes) -> bytes:
        """The head of a response up to its length, which is the same for a second."""
        head = self._response_heads.get((status, content_type))
        if head is None:
            head = b"%bServer: reference\r\nDate: %b\r\nContent-Type: %b\r\nContent-Length: " % (
                STATUS_LINES[status],
                self.date,
                content_type,
            )
            self._response_heads[status, content_type] = head
            if status == HTTPStatus.OK:
                self.ok_heads[content_type] = head
        return head
