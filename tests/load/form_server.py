"""A server for made-up lines: it answers each whole request by its form, right or with a fault."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.load.rig import response

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """One whole request. body: decoded."""

    line: bytes
    head: bytes
    body: bytes
    chunked: bool

    @property
    def length(self) -> int | None:
        """What Content-Length says."""
        match = _LENGTH.search(self.head)
        return int(match[1]) if match else None

    def has(self, text: bytes) -> bool:
        """A header line contains this."""
        return text.lower() in self.head.lower()


Handler = Callable[[Asked], bytes | None]


def requests(data: bytes) -> list[Asked]:
    """The whole requests in front of what was sent on a line."""
    found = []
    while b"\r\n\r\n" in data:
        head, _, rest = data.partition(b"\r\n\r\n")
        line, _, _ = head.partition(b"\r\n")
        chunked = b"transfer-encoding: chunked" in head.lower()
        if chunked:
            body, end = b"", 0
            while True:
                cut = rest.find(b"\r\n", end)
                if cut < 0:
                    return found
                size = int(rest[end:cut], 16)
                if len(rest) < cut + 2 + size + 2:
                    return found
                body += rest[cut + 2 : cut + 2 + size]
                end = cut + 2 + size + 2
                if not size:
                    break
            rest = rest[end:]
        else:
            match = _LENGTH.search(head)
            size = int(match[1]) if match else 0
            if len(rest) < size:
                return found
            body, rest = rest[:size], rest[size:]
        found.append(Asked(line, head, body, chunked))
        data = rest
    return found


def serving(handler: Handler) -> Callable[[bytes], list[bytes | OSError | None]]:
    """Answers each whole request; None from the handler ends the connection."""

    def server(data: bytes) -> list[bytes | OSError | None]:
        return [handler(asked) for asked in requests(data)]

    return server


def right(asked: Asked) -> bytes:
    """`ok` to GET, the number of bytes to POST /upload, else the sum 1 + body."""
    if asked.line.startswith(b"GET "):
        return response(b"ok")
    if asked.line.startswith(b"POST /upload"):
        return response(b"%d" % len(asked.body))
    return response(b"%d" % (1 + int(asked.body or b"0")))
