"""What handlers take and give: requests, responses, bodies, routes, and how a route is found."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from reference_server.shared import Shared

log = logging.getLogger(__name__)

TEXT = b"text/plain"
JSON = b"application/json"

MAX_SMALL_BODY_BYTES = 64 * 1024


class Body:
    """A request body that is counted and dropped while it arrives: memory does not grow."""

    __slots__ = ("received",)

    def __init__(self) -> None:
        self.received = 0

    # A fault that keeps the body overrides this, and is then given every piece. Otherwise the
    # connection only adds up the lengths, and no piece is copied out of the buffer it was read to.
    def feed(self, piece: bytes) -> None:
        """Counts a piece that arrived."""
        self.received += len(piece)

    def content(self) -> bytes:
        """The bytes that were kept, which here is none."""
        return b""


# Of requests that have none and whose route keeps none; it is shared, and stays empty.
NO_BODY = Body()


class SmallBody(Body):
    """A request body that is kept, for handlers that need its content; up to a limit."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        super().__init__()
        self._kept = b""

    def feed(self, piece: bytes) -> None:
        """Keeps a piece that arrived, up to the limit."""
        self.received += len(piece)
        if self.received <= MAX_SMALL_BODY_BYTES:
            self._kept += piece

    def content(self) -> bytes:
        """All of the body.

        Raises: HttpError (413) when it was longer than the limit.
        """
        if self.received > MAX_SMALL_BODY_BYTES:
            raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return self._kept


@dataclass(slots=True)
class Request:
    """One request, complete when its handler is called; `argument` is the {n} of /json/{n}."""

    method: bytes
    argument: bytes
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: Body
    handler: Handler
    keep_alive: bool = False

    def header(self, name: bytes) -> bytes:
        """The value of a header, empty when it was not sent; `name` in lower case."""
        # Looked for on demand, because most requests are answered without a look at any header.
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return b""


@dataclass(slots=True)
class Response:
    """A complete answer; its length and connection headers are added when it is sent."""

    body: bytes
    content_type: bytes = TEXT
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(slots=True)
class Upgrade:
    """The answer that turns a connection over to another protocol."""

    successor: Callable[[Shared], asyncio.BufferedProtocol]
    headers: tuple[tuple[bytes, bytes], ...] = ()


Handler = Callable[[Request], Response | Upgrade | Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """Answers one method of one path; `body` says what becomes of the request's body."""

    handler: Handler
    body: Callable[[], Body] = Body


# Path -> method -> route. A path that ends in a slash takes one more segment, the argument.
Routes = Mapping[bytes, Mapping[bytes, Route]]


class HttpError(Exception):
    """Ends a request with this status."""

    def __init__(self, status: HTTPStatus, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(status.phrase)
        self.status = status
        self.headers = headers


class Served(Protocol):
    """An open connection, as the worker sees it when it stops."""

    def drain(self) -> None:
        """Ends the connection as soon as nothing is under way on it."""

    def abort(self) -> None:
        """Ends the connection now."""


STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


def find_route(routes: Routes, method: bytes, path: bytes) -> tuple[Route, bytes]:
    """The route for a path and its argument; one that answers 404 or 405 when there is none."""
    methods = routes.get(path) if path[-1:] != b"/" else None
    argument = b""
    if methods is None:
        cut = path.rfind(b"/") + 1
        methods, argument = routes.get(path[:cut]), path[cut:]
        if methods is None or not argument:
            return NOT_FOUND, b""
    # RFC 9110, 9.3.2: HEAD is GET without the content.
    route = methods.get(b"GET" if method == b"HEAD" else method)
    if route is None:
        return Route(not_allowed(methods)), b""
    return route, argument


def not_found(request: Request) -> Response:
    """Answers a path that is not served."""
    raise HttpError(HTTPStatus.NOT_FOUND)


def not_allowed(methods: Mapping[bytes, Route]) -> Handler:
    """A handler that says which methods a path has."""

    def handler(request: Request) -> Response:
        allow = b", ".join(sorted(methods))
        raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, ((b"Allow", allow),))

    return handler


NOT_FOUND = Route(not_found)


def error_response(error: Exception) -> Response:
    """The answer to a request whose handler raised; 500 for what is not an HttpError."""
    if not isinstance(error, HttpError):
        log.error("a handler failed", exc_info=error)
        error = HttpError(HTTPStatus.INTERNAL_SERVER_ERROR)
    return Response(str(error).encode(), status=error.status, headers=error.headers)
