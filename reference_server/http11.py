"""HTTP/1.1 on one connection, from bytes to bytes; who moves them does not matter here.

Everything happens in the thread of the event loop, and a request costs it one pass: the bytes are
read into a buffer that all connections share, parsed, and answered at once. A body is handed on
piece by piece as it arrives, so a connection never holds more of it than one read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from time import time
from typing import cast

from reference_server.chunked import ChunkedDecoder, only_chunk
from reference_server.messages import (
    NO_BODY,
    STATUS_LINES,
    Body,
    HttpError,
    Request,
    Response,
    Upgrade,
    error_response,
    not_found,
)
from reference_server.request_head import BEGINNING, CHUNKED, REQUEST_LINE, Head
from reference_server.shared import Shared, header_lines

# Answers to pipelined requests go out together, but not more than this at a time: past it the
# transport has to say first whether the client keeps up.
WRITE_BYTES = 64 * 1024
# No request of the contract comes near; without a limit a client could fill the memory.
MAX_HEAD_BYTES = 64 * 1024


def take_whole(head: Head, body: Body, data: bytes, position: int) -> int:
    """Takes a body that has arrived with its head; the position behind it, or 0 if it has not."""
    length = head.length
    if head.upgrade:
        return 0
    if length == CHUNKED:
        content, end = only_chunk(data, position)
        if end:
            body.feed(content)
        return end
    end = position + length
    if end > len(data):
        return 0
    body.feed(data[position:end])
    return end


class Connection(asyncio.BufferedProtocol):
    """Reads requests, has them answered in their order, and keeps the connection open.

    A fault overrides one of `keeps_open`, `head_complete`, `dispatch` or `respond`.
    """

    __slots__ = (
        "_answering",
        "_chunks",
        "_closing",
        "_head",
        "_left",
        "_output",
        "_output_bytes",
        "_pending",
        "_request",
        "_successor",
        "_tail",
        "_transport",
        "_waiting",
        "_writable",
        "shared",
    )

    _transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self._pending = b""  # The beginning of a head that has not arrived entirely.
        self._head: Head  # Of the request that is being read, or was read last.
        self._request: Request | None = None  # The one whose body is being read.
        self._left = 0  # Bytes of that body which have not arrived, if it has a length.
        self._chunks: ChunkedDecoder | None = None
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

    # ---------------------------------------------------------------- called by the transport

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
        if time() >= self.shared.second_ends:
            self.shared.look_at_the_clock()
        try:
            # The middle of an upload is counted where it lies.
            if self._left > nbytes and type(self._request.body) is Body:  # type: ignore[union-attr]
                self._left -= nbytes
                self._request.body.received += nbytes  # type: ignore[union-attr]
                return
            data = bytes(self.shared.buffer[:nbytes])
            self._read(data, 0 if self._request is None else self._read_body(data, 0))
        except HttpError as error:
            self._reject(error)
        self._flush()

    def pause_writing(self) -> None:
        """The client does not read its answers: nothing more is read from it."""
        self._writable = False
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable = True
        self._proceed()

    # -------------------------------------------------------------------------------- reading

    def _read(self, data: bytes, position: int) -> None:
        """Takes one request after the other from what has arrived.

        Raises: HttpError for what is no request.
        """
        if self._pending:
            data, self._pending = self._pending + data, b""
        known = self.shared.heads.known
        size = len(data)
        while position < size and not self._closing:
            end = data.find(b"\r\n\r\n", position) + 2
            if end < 2:
                self._keep(data[position:])
                return
            lines = data[position:end]
            position = end + 2
            head = known(lines) or self._parse(lines)
            if head is None:
                continue
            self._head = head
            # Of what has no body, one empty body will do for all; unless the route has its own.
            body = NO_BODY if head.bare and head.body is Body else head.body()
            request = Request(
                head.method, head.argument, head.query, head.headers, body, head.handler
            )
            if head.bare or (end := take_whole(head, body, data, position)):
                position = position if head.bare else end
                request.keep_alive = self.keeps_open()
                if self._answering is None and self._writable and not self._waiting:
                    self.dispatch(request)
                else:
                    self._waiting.append(request)
            else:
                self._request = request
                self.head_complete(request)
                position = self._read_body(data, position)

    def _parse(self, lines: bytes) -> Head | None:
        """A head that was not seen before; None for empty lines before the next one.

        Raises: HttpError (400, 431).
        """
        if len(lines) > MAX_HEAD_BYTES:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        # RFC 9112, 2.2: "a server that is expecting to receive and parse a request-line SHOULD
        # ignore at least one empty line (CRLF) received prior to the request-line."
        lines = lines.removeprefix(b"\r\n")
        return self.shared.heads.parse(lines) if lines else None

    def _keep(self, beginning: bytes) -> None:
        """Keeps the beginning of a head until the rest arrives.

        Raises: HttpError (400, 431) when it cannot become one.
        """
        if len(beginning) > MAX_HEAD_BYTES:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        line = beginning.removeprefix(b"\r\n")
        if line and REQUEST_LINE.match(line) is None and BEGINNING.match(line) is None:
            raise HttpError(HTTPStatus.BAD_REQUEST)
        self._pending = beginning

    def head_complete(self, request: Request) -> None:
        """The head of a request whose body is still to come."""
        if self._head.expects_continue and not self._closing:
            # curl waits up to a second for this before it sends a large body.
            self._output.append(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._left = self._head.length
        if self._left == CHUNKED:
            self._left = 0
            self._chunks = ChunkedDecoder(request.body.feed)

    def _read_body(self, data: bytes, position: int) -> int:
        """Takes what belongs to the request that is being read; the position behind it.

        Raises: HttpError (400).
        """
        request = self._request
        assert request is not None
        if self._chunks is not None:
            position = self._chunks.decode(data, position)
            if not self._chunks.done:
                return position
            self._chunks = None
        elif self._left:
            piece = data[position : position + self._left]
            if piece:
                request.body.feed(piece)
                position += len(piece)
                self._left -= len(piece)
            if self._left:
                return position
        self._request = None
        if self._head.upgrade:
            # What follows is not HTTP/1.1 any more. Where there is nothing to upgrade to, the
            # request is answered as if it had not asked, and the connection closes.
            self._tail, position = data[position:], len(data)
        self._complete(request)
        return position

    def _complete(self, request: Request) -> None:
        """The request is complete: has it answered, or wait its turn."""
        if self._closing:
            return
        request.keep_alive = self.keeps_open()
        if self._answering is None and self._writable and not self._waiting:
            self.dispatch(request)
        else:
            self._waiting.append(request)

    # ------------------------------------------------------------------------------ answering

    def keeps_open(self) -> bool:
        """Whether the connection serves another request after this one."""
        return self._head.keeps_open

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
        self.shared.look_at_the_clock()
        self.respond(request, response)
        self._proceed()

    def respond(self, request: Request, response: Response) -> None:
        """Puts a response behind those that wait to be written."""
        body = response.body
        shared = self.shared
        head = shared.ok_heads.get(response.content_type) if response.status == 200 else None
        if head is None:
            head = shared.response_head(response.status, response.content_type)
        if request.keep_alive and request.method != b"HEAD":
            lines = shared.header_lines(response.headers) if response.headers else b""
            self._output.append(b"%b%d\r\n%b\r\n%b" % (head, len(body), lines, body))
        else:
            self._respond_in_full(request, response, head)
        self._output_bytes += len(body)
        if self._output_bytes > WRITE_BYTES:
            self._flush()

    def _respond_in_full(self, request: Request, response: Response, head: bytes) -> None:
        head = b"%b%d\r\n%b" % (
            head,
            len(response.body),
            self.shared.header_lines(response.headers),
        )
        if not request.keep_alive:
            head += b"Connection: close\r\n"
            self._closing = True
        self._output.append(head + b"\r\n")
        if request.method != b"HEAD":
            self._output.append(response.body)

    def _agree(self, request: Request, upgrade: Upgrade) -> None:
        """Announces the other protocol, to which the connection goes with the next flush."""
        if not self._head.upgrade:  # The request was the last that was read.
            self.respond(request, error_response(HttpError(HTTPStatus.UPGRADE_REQUIRED)))
            return
        head = STATUS_LINES[HTTPStatus.SWITCHING_PROTOCOLS] + b"Connection: Upgrade\r\n"
        self._output.append(b"%b%b\r\n" % (head, header_lines(upgrade.headers)))
        self._successor = upgrade.successor
        self._closing = True

    def _reject(self, error: HttpError) -> None:
        """Answers what could not be parsed; the connection is of no use afterwards."""
        if not self._closing and not self._waiting and self._answering is None:
            request = Request(b"", b"", b"", (), Body(), not_found, keep_alive=False)
            self.respond(request, error_response(error))
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
        output = self._output
        if output:
            data = output[0] if len(output) == 1 else b"".join(output)
            output.clear()
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
