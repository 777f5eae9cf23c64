"""HTTP/1.1 on one connection: uvloop moves the bytes, httptools (llhttp) parses them.

Everything happens in the thread of the event loop, and a request costs it one pass: the bytes are
read into a buffer that all connections share, parsed where they lie, and answered at once. A body
is handed on piece by piece as it arrives, so a connection never holds more of it than one read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol, cast

import httptools

log = logging.getLogger(__name__)

TEXT = b"text/plain"
JSON = b"application/json"

# One read takes at most this much. Large enough that an upload is not slowed down by system
# calls, small enough that the copy which httptools makes of a body stays in the core's cache.
READ_BYTES = 128 * 1024
# Answers to pipelined requests go out together, but not more than this at a time: past it the
# transport has to say first whether the client keeps up.
WRITE_BYTES = 64 * 1024
# No request of the contract comes near; without a limit a client could fill the memory.
MAX_HEAD_BYTES = 64 * 1024
MAX_SMALL_BODY_BYTES = 64 * 1024


class Body:
    """A request body that is counted and dropped while it arrives: memory does not grow."""

    __slots__ = ("received",)

    def __init__(self) -> None:
        self.received = 0

    def feed(self, piece: bytes) -> None:
        """Counts a piece that arrived."""
        self.received += len(piece)

    def content(self) -> bytes:
        """The bytes that were kept, which here is none."""
        return b""


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
    headers: list[tuple[bytes, bytes]]
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


@dataclass(slots=True)
class Shared:
    """What the connections of one worker have in common."""

    routes: Routes
    connections: set[Served] = field(default_factory=set)
    # One buffer serves every connection: the event loop reads into it and hands it over before
    # it reads from the next one. So 512 uploads at once need no more memory than one.
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(READ_BYTES)))
    date: bytes = b""
    date_second: int = 0

    def http_date(self) -> bytes:
        """The value of the Date header."""
        return self.date_line().removeprefix(b"Date: ").rstrip()

    def date_line(self) -> bytes:
        """The Date header, formatted once in a second."""
        second = int(time.time())
        if second != self.date_second:
            self.date_second = second
            self.date = b"Date: " + formatdate(second, usegmt=True).encode() + b"\r\n"
        return self.date


STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class Parser(Protocol):
    """What is used of httptools.HttpRequestParser."""

    def feed_data(self, data: memoryview) -> None:
        """Parses; calls the methods named on_... meanwhile."""

    def get_method(self) -> bytes:
        """The method of the request being parsed."""

    def get_http_version(self) -> str:
        """`1.1` or `1.0`."""

    def should_keep_alive(self) -> bool:
        """Whether the request leaves the connection open."""

    def should_upgrade(self) -> bool:
        """Whether the request asks for another protocol."""


class Connection(asyncio.BufferedProtocol):
    """Reads requests, has them answered in their order, and keeps the connection open.

    The methods named on_... are called by the parser while it is fed. A fault overrides one of
    `keeps_open`, `dispatch` or `respond`.
    """

    __slots__ = (
        "_answering",
        "_closing",
        "_head_bytes",
        "_headers",
        "_output",
        "_output_bytes",
        "_parser",
        "_request",
        "_successor",
        "_tail",
        "_target",
        "_transport",
        "_waiting",
        "_writable",
        "shared",
    )

    _transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self._parser: Parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0  # Read since the last head or body was complete.
        self._request: Request | None = None  # The one whose body is being read.
        # Complete requests behind one whose handler is still at work, or behind a client that
        # does not read its answers. Reading stops then, so they all come from one buffer.
        self._waiting: deque[Request] = deque()
        self._answering: asyncio.Task[None] | None = None
        self._output: list[bytes] = []
        self._output_bytes = 0
        self._writable = True
        self._closing = False
        # What serves the connection after an upgrade, and what the client sent for it already.
        self._successor: Callable[[Shared], asyncio.BufferedProtocol] | None = None
        self._tail = b""

    # ---------------------------------------------------------------- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast("asyncio.Transport", transport)
        self.shared.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and with it all that waits."""
        self.shared.connections.discard(self)
        self._closing = True
        self._request = None
        self._successor = None
        self._waiting.clear()
        if self._answering is not None:
            self._answering.cancel()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes are read into."""
        return self.shared.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Answers what one read brought."""
        self._head_bytes += nbytes
        try:
            self._parser.feed_data(self.shared.buffer[:nbytes])
        except httptools.HttpParserUpgrade as upgrade:
            # Where there is nothing to upgrade to, the request was answered as if it had not
            # asked, and the connection closes.
            self._tail = bytes(self.shared.buffer[upgrade.args[0] : nbytes])
        except httptools.HttpParserError:
            self._reject(HTTPStatus.BAD_REQUEST)
        if self._request is None and self._head_bytes > MAX_HEAD_BYTES:
            self._reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self._flush()

    def pause_writing(self) -> None:
        """The client does not read its answers: nothing more is read from it."""
        self._writable = False
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable = True
        self._proceed()

    # ------------------------------------------------------------------- called by the parser

    def on_url(self, part: bytes) -> None:
        """A part of the request target."""
        # A target that arrives in two reads comes in two parts.
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        if self._request is None:  # Otherwise it is a trailer of a chunked body: dropped.
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete: finds the route, so that the body goes where it wants it."""
        path, _, query = self._target.partition(b"?")
        method = self._parser.get_method()
        route, argument = find_route(self.shared.routes, method, path)
        self._request = request = Request(
            method, argument, query, self._headers, route.body(), route.handler
        )
        self._target, self._headers, self._head_bytes = b"", [], 0
        if request.header(b"expect").lower() == b"100-continue" and not self._closing:
            # curl waits up to a second for this before it sends a large body.
            self._output.append(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        if self._request is not None:
            self._request.body.feed(piece)

    def on_message_complete(self) -> None:
        """The request is complete: has it answered, or wait its turn."""
        request, self._request = self._request, None
        self._head_bytes = 0
        if request is None or self._closing:
            return
        request.keep_alive = self.keeps_open()
        if self._answering is None and self._writable and not self._waiting:
            self.dispatch(request)
        else:
            self._waiting.append(request)

    # ------------------------------------------------------------------------------ answering

    def keeps_open(self) -> bool:
        """Whether the connection serves another request after this one."""
        parser = self._parser
        return (
            parser.should_keep_alive()
            and parser.get_http_version() == "1.1"
            and not parser.should_upgrade()
        )

    def dispatch(self, request: Request) -> None:
        """Has the request answered: at once, or in a task when its handler has to wait."""
        try:
            response = request.handler(request)
        except Exception as error:  # The next request must not pay for this one.
            response = error_response(error)
        if isinstance(response, Response):
            self.respond(request, response)
        elif isinstance(response, Upgrade):
            self._agree(request, response)
        else:
            self._transport.pause_reading()
            self._answering = asyncio.ensure_future(self._answer_later(request, response))

    async def _answer_later(self, request: Request, answer: Awaitable[Response]) -> None:
        try:
            response = await answer
        except Exception as error:
            response = error_response(error)
        self._answering = None
        self.respond(request, response)
        self._proceed()

    def respond(self, request: Request, response: Response) -> None:
        """Puts a response behind those that wait to be written."""
        body = response.body
        head = b"%bServer: reference\r\n%bContent-Type: %b\r\nContent-Length: %d\r\n" % (
            STATUS_LINES[response.status],
            self.shared.date_line(),
            response.content_type,
            len(body),
        )
        for name, value in response.headers:
            head += b"%b: %b\r\n" % (name, value)
        if not request.keep_alive:
            head += b"Connection: close\r\n"
            self._closing = True
        self._output.append(head + b"\r\n")
        if request.method != b"HEAD":
            self._output.append(body)
        self._output_bytes += len(body)
        if self._output_bytes > WRITE_BYTES:
            self._flush()

    def _agree(self, request: Request, upgrade: Upgrade) -> None:
        """Announces the other protocol, to which the connection goes with the next flush."""
        # RFC 9110, 7.8: "A server MUST ignore an Upgrade header field that is received in an
        # HTTP/1.0 request." The request was the last that the parser has seen.
        if not self._parser.should_upgrade() or self._parser.get_http_version() != "1.1":
            self.respond(request, error_response(HttpError(HTTPStatus.UPGRADE_REQUIRED)))
            return
        head = STATUS_LINES[HTTPStatus.SWITCHING_PROTOCOLS] + b"Connection: Upgrade\r\n"
        for name, value in upgrade.headers:
            head += b"%b: %b\r\n" % (name, value)
        self._output.append(head + b"\r\n")
        self._successor = upgrade.successor
        self._closing = True

    def _reject(self, status: HTTPStatus) -> None:
        """Answers what could not be parsed; the connection is of no use afterwards."""
        if not self._closing and not self._waiting and self._answering is None:
            request = Request(b"", b"", b"", [], Body(), not_found, keep_alive=False)
            self.respond(request, error_response(HttpError(status)))
        self._closing = True

    def _proceed(self) -> None:
        """Answers what had to wait, then reads on."""
        while self._waiting and self._writable and self._answering is None and not self._closing:
            self.dispatch(self._waiting.popleft())
        self._flush()
        if self._writable and self._answering is None and not self._closing:
            self._transport.resume_reading()

    def _flush(self) -> None:
        """One system call for all the answers to what one read brought."""
        if self._output:
            data = b"".join(self._output)
            self._output.clear()
            self._output_bytes = 0
            self._transport.write(data)
        if self._closing and self._answering is None:
            if self._successor is None:
                self._transport.close()
            else:
                self._hand_over(self._successor(self.shared))

    def _hand_over(self, successor: asyncio.BufferedProtocol) -> None:
        """Leaves the connection to another protocol, with what the client has sent for it."""
        self._successor = None
        self.shared.connections.discard(self)
        self._transport.set_protocol(successor)
        successor.connection_made(self._transport)
        if self._tail:
            self.shared.buffer[: len(self._tail)] = self._tail
            successor.buffer_updated(len(self._tail))
        # While the client does not read, the successor is told later when it does.
        if self._writable and not self._transport.is_closing():
            self._transport.resume_reading()

    # ------------------------------------------------------------------------------- draining

    def drain(self) -> None:
        """Ends the connection as soon as nothing is under way on it."""
        if self._request is None and self._answering is None and not self._waiting:
            self._closing = True
            self._transport.close()

    def abort(self) -> None:
        """Ends the connection now."""
        self._transport.abort()


def find_route(routes: Routes, method: bytes, path: bytes) -> tuple[Route, bytes]:
    """The route for a path and its argument; one that answers 404 or 405 when there is none."""
    methods = None if path.endswith(b"/") else routes.get(path)
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
