"""The streams of HTTP/2: one request and its answer each."""

from __future__ import annotations

from reference_server.http2_frames import CONNECTION_HEADERS
from reference_server.messages import Request, Routes, find_route

Header = tuple[bytes, bytes]


class Malformed(Exception):
    """RFC 9113, 8.1.1: a request that ends its stream, and not the connection."""


class Stream:
    """One request and its answer.

    `complete`: the client has sent everything. `cancelled`: it does not want the answer.
    `rest` is what of the answer waits for the client to open its window. `credit` is what was
    received and not yet given back to the window of the client.
    """

    __slots__ = ("cancelled", "complete", "credit", "id", "length", "request", "rest", "window")

    def __init__(self, number: int, request: Request, window: int) -> None:
        self.id = number
        self.request = request
        self.window = window
        length = request.header(b"content-length")
        if length and not length.isdigit():
            raise Malformed
        self.length = int(length) if length else None
        self.complete = False
        self.cancelled = False
        self.credit = 0
        self.rest = memoryview(b"")


def make_request(headers: list[Header], routes: Routes) -> Request:
    """The request that a decoded header block stands for.

    Raises: Malformed for what RFC 9113, 8.2 and 8.3, do not allow.
    """
    pseudo: dict[bytes, bytes] = {}
    fields: list[Header] = []
    for name, value in headers:
        if name.startswith(b":"):
            if fields or name in pseudo:
                raise Malformed
            pseudo[name] = value
        else:
            if name != name.lower() or name in CONNECTION_HEADERS:
                raise Malformed
            if name == b"te" and value != b"trailers":
                raise Malformed
            fields.append((name, value))
    method, target = pseudo.pop(b":method", b""), pseudo.pop(b":path", b"")
    if not method or not target or not pseudo.pop(b":scheme", b""):
        raise Malformed
    pseudo.pop(b":authority", b"")
    if pseudo:
        raise Malformed
    path, _, query = target.partition(b"?")
    route, argument = find_route(routes, method, path)
    return Request(method, argument, query, fields, route.body(), route.handler)
