"""HTTP/2 on one connection: many requests at once, answered by the same handlers.

Frames are read and written here; hpack decodes the header blocks of requests. The complete library
of the same authors, h2, takes 207 us for a request, 18 of them for the header block.

It is longer than other modules here, because each kind of frame is one small method, and all of
them change the same few windows and streams.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import cast

import hpack

from reference_server.http2_frames import (
    ACK,
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    DEFAULT_WINDOW,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_HEAD,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEAD_BYTES,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_BYTES,
    MAX_FRAME_SIZE,
    MAX_WINDOW,
    NO_ERROR,
    PING,
    PREFACE,
    PRIORITIZED,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    ConnectionBroken,
    frame,
    header_block,
    number,
    settings,
    unpadded,
)
from reference_server.http2_streams import Header, Malformed, Stream, make_request
from reference_server.http11 import MAX_HEAD_BYTES, WRITE_BYTES
from reference_server.messages import HttpError, Response, error_response
from reference_server.shared import Shared

MAX_STREAMS = 128
# What a client may send ahead. Bodies are counted and dropped as they arrive, so this is no memory.
WINDOW = 1024 * 1024
# Answers that wait for a window are kept whole, so there must not be one for each stream.
MAX_UNSENT = 8
# Header blocks that a client repeats; more distinct ones than this are decoded each time.
KNOWN_BLOCKS = 32


class Http2Connection(asyncio.BufferedProtocol):
    """Reads frames, has the requests answered, and sends what the windows of the client allow."""

    _transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self._decoder = hpack.Decoder(max_header_list_size=MAX_HEAD_BYTES)
        self._known: dict[bytes, list[Header]] = {}
        self._pending = bytearray()
        self._greeted = False  # The client has sent the preface.
        self._settled = False  # And its first settings.
        self._block = b""  # A header block that goes on in the next frame,
        self._block_flags = 0
        self._block_stream = 0  # of this stream; 0 when there is none.
        self._streams: dict[int, Stream] = {}
        self._last_stream = 0
        self._waiting: deque[Stream] = deque()  # Behind a client that takes no answers.
        self._unsent: dict[int, Stream] = {}  # Behind a window that is closed.
        self._answering: set[asyncio.Task[None]] = set()
        self._window = DEFAULT_WINDOW
        self._initial_window = DEFAULT_WINDOW
        self._credit = 0
        self._output: list[bytes] = []
        self._output_bytes = 0
        self._writable = True
        self._closing = False
        self._draining = False

    # ---------------------------------------------------------------- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open: says what the client may send."""
        self._transport = cast("asyncio.Transport", transport)
        self.shared.connections.add(self)
        self._send(settings([(MAX_CONCURRENT_STREAMS, MAX_STREAMS), (INITIAL_WINDOW_SIZE, WINDOW)]))
        self._send(number(WINDOW_UPDATE, 0, WINDOW - DEFAULT_WINDOW))
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and with it all that waits."""
        self.shared.connections.discard(self)
        self._closing = True
        self._waiting.clear()
        self._unsent.clear()
        for task in self._answering:
            task.cancel()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes are read into."""
        return self.shared.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Takes the frames that are complete with what one read brought."""
        self.shared.look_at_the_clock()
        self._pending += self.shared.buffer[:nbytes]
        position = 0
        try:
            if not self._greeted:
                position = self._greet()
            while self._greeted and (end := self._frame_end(position)):
                self._take(position, end)
                position = end
        except ConnectionBroken as error:
            self._go_away(error.code)
            self._closing = True
        del self._pending[:position]
        self._flush()

    def pause_writing(self) -> None:
        """The client does not read its answers: nothing more is read from it."""
        self._writable = False
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable = True
        self._proceed()
        self._flush()
        if self._writable and not self._closing:
            self._transport.resume_reading()

    # -------------------------------------------------------------------------------- frames

    def _greet(self) -> int:
        """Where the preface ends, 0 while it is incomplete; HTTP/1.1, for one, is refused."""
        if not PREFACE.startswith(bytes(self._pending[: len(PREFACE)])):
            raise ConnectionBroken(PROTOCOL_ERROR)
        self._greeted = len(self._pending) >= len(PREFACE)
        return len(PREFACE) if self._greeted else 0

    def _frame_end(self, start: int) -> int:
        """Where the frame at `start` ends; 0 when it has not arrived entirely."""
        if len(self._pending) - start < HEAD_BYTES:
            return 0
        length = int.from_bytes(self._pending[start : start + 3])
        if length > MAX_FRAME_BYTES:
            raise ConnectionBroken(FRAME_SIZE_ERROR)
        end = start + HEAD_BYTES + length
        return end if len(self._pending) >= end else 0

    def _take(self, start: int, end: int) -> None:
        head, flags, stream = FRAME_HEAD.unpack_from(self._pending, start)
        kind, stream = head & 0xFF, stream & MAX_WINDOW
        # Nothing may come between the frames of a header block, and nothing before the settings.
        if self._block_stream and (kind != CONTINUATION or stream != self._block_stream):
            raise ConnectionBroken(PROTOCOL_ERROR)
        if not self._settled and kind != SETTINGS:
            raise ConnectionBroken(PROTOCOL_ERROR)
        # RFC 9113, 4.1: "Implementations MUST ignore and discard frames of unknown types."
        if handler := HANDLERS.get(kind):
            handler(self, flags, stream, bytes(self._pending[start + HEAD_BYTES : end]))

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        if not stream % 2:
            raise ConnectionBroken(PROTOCOL_ERROR)
        self._block = unpadded(flags, payload)
        if flags & PRIORITIZED:
            if len(self._block) < 5:
                raise ConnectionBroken(PROTOCOL_ERROR)
            self._block = self._block[5:]
        self._block_flags, self._block_stream = flags, stream
        if flags & END_HEADERS:
            self._finish_block()

    def _on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if not self._block_stream:
            raise ConnectionBroken(PROTOCOL_ERROR)
        self._block += payload
        # An empty frame would make it endless without making it longer.
        if len(self._block) > MAX_HEAD_BYTES or not (payload or flags & END_HEADERS):
            raise ConnectionBroken(ENHANCE_YOUR_CALM)
        if flags & END_HEADERS:
            self._finish_block()

    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        self._credit += len(payload)
        if self._credit >= WINDOW // 2:
            self._send(number(WINDOW_UPDATE, 0, self._credit))
            self._credit = 0
        found = self._known_stream(stream)
        data = unpadded(flags, payload)
        if found is None or found.complete:
            self._reset(stream, STREAM_CLOSED)
            return
        found.request.body.feed(data)
        if flags & END_STREAM:
            self._complete(found)
            return
        found.credit += len(payload)
        if found.credit >= WINDOW // 2:
            self._send(number(WINDOW_UPDATE, stream, found.credit))
            found.credit = 0

    def _on_rst_stream(self, flags: int, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionBroken(FRAME_SIZE_ERROR)
        if found := self._known_stream(stream):
            found.cancelled = True
            # One whose handler is still at work counts as open until that ends: a client that
            # asks and cancels all the time has no more of them at once than any other.
            if not found.complete or stream in self._unsent:
                self._forget(stream)
                self._proceed()

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise ConnectionBroken(PROTOCOL_ERROR)
        if len(payload) % 6 or (flags & ACK and payload):
            raise ConnectionBroken(FRAME_SIZE_ERROR)
        self._settled = True
        if flags & ACK:
            return
        for start in range(0, len(payload), 6):
            name = int.from_bytes(payload[start : start + 2])
            value = int.from_bytes(payload[start + 2 : start + 6])
            if name == INITIAL_WINDOW_SIZE:
                self._resize_windows(value)
            elif (name == ENABLE_PUSH and value > 1) or (
                name == MAX_FRAME_SIZE and not MAX_FRAME_BYTES <= value < 1 << 24
            ):
                raise ConnectionBroken(PROTOCOL_ERROR)
        self._send(frame(SETTINGS, ACK, 0))
        self._proceed()

    def _on_ping(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise ConnectionBroken(PROTOCOL_ERROR)
        if len(payload) != 8:
            raise ConnectionBroken(FRAME_SIZE_ERROR)
        if not flags & ACK:
            self._send(frame(PING, ACK, 0, payload))

    def _on_window_update(self, flags: int, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionBroken(FRAME_SIZE_ERROR)
        increment = int.from_bytes(payload) & MAX_WINDOW
        if not stream:
            self._window += increment
            if not increment or self._window > MAX_WINDOW:
                raise ConnectionBroken(FLOW_CONTROL_ERROR if increment else PROTOCOL_ERROR)
        elif found := self._known_stream(stream):
            found.window += increment
            if not increment or found.window > MAX_WINDOW:
                self._reset(stream, FLOW_CONTROL_ERROR if increment else PROTOCOL_ERROR)
        self._proceed()

    def _on_priority(self, flags: int, stream: int, payload: bytes) -> None:
        if not stream:
            raise ConnectionBroken(PROTOCOL_ERROR)
        if len(payload) != 5:
            self._reset(stream, FRAME_SIZE_ERROR)

    def _on_goaway(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise ConnectionBroken(PROTOCOL_ERROR)

    def _on_push_promise(self, flags: int, stream: int, payload: bytes) -> None:
        raise ConnectionBroken(PROTOCOL_ERROR)  # Only servers push.

    def _known_stream(self, stream: int) -> Stream | None:
        """The stream, None when it has ended; one that never began breaks the connection."""
        if not stream or stream > self._last_stream:
            raise ConnectionBroken(PROTOCOL_ERROR)
        return self._streams.get(stream)

    # ------------------------------------------------------------------------------- requests

    def _finish_block(self) -> None:
        number, self._block_stream = self._block_stream, 0
        headers = self._decode(self._block)
        ends = bool(self._block_flags & END_STREAM)
        if stream := self._streams.get(number):
            if stream.complete:
                raise ConnectionBroken(STREAM_CLOSED)
            if ends:
                self._complete(stream)  # With trailers, which nobody reads.
            else:
                self._reset(number, PROTOCOL_ERROR)
            return
        if number <= self._last_stream:
            raise ConnectionBroken(STREAM_CLOSED)
        self._last_stream = number
        if self._draining or len(self._streams) >= MAX_STREAMS:
            self._reset(number, REFUSED_STREAM)
            return
        try:
            stream = Stream(number, make_request(headers, self.shared.routes), self._initial_window)
        except Malformed:
            self._reset(number, PROTOCOL_ERROR)
            return
        self._streams[number] = stream
        if ends:
            self._complete(stream)
        elif stream.request.header(b"expect").lower() == b"100-continue":
            self._send(frame(HEADERS, END_HEADERS, number, header_block(100, ())))

    def _decode(self, block: bytes) -> list[Header]:
        # A block of nothing but references to the table of headers leaves the table as it is
        # (RFC 7541, 6.1). Clients repeat such blocks, and until the table changes the same bytes
        # mean the same headers. References of more than one byte begin with 0xff.
        if headers := self._known.get(block):
            return headers
        try:
            decoded = cast("list[Header]", self._decoder.decode(block, raw=True))
        except hpack.OversizedHeaderListError as error:
            raise ConnectionBroken(ENHANCE_YOUR_CALM) from error
        except (hpack.HPACKError, IndexError, TypeError) as error:  # As h2 does.
            raise ConnectionBroken(COMPRESSION_ERROR) from error
        if not block or min(block) < 0x80 or b"\xff" in block:
            self._known.clear()
        elif len(self._known) < KNOWN_BLOCKS:
            self._known[block] = decoded
        return decoded

    def _complete(self, stream: Stream) -> None:
        """Everything of the request is there."""
        stream.complete = True
        if stream.length is not None and stream.length != stream.request.body.received:
            self._reset(stream.id, PROTOCOL_ERROR)
        elif self._writable and not self._waiting and len(self._unsent) < MAX_UNSENT:
            self._dispatch(stream)
        else:
            self._waiting.append(stream)

    # ------------------------------------------------------------------------------ answering

    def _dispatch(self, stream: Stream) -> None:
        try:
            answer = stream.request.handler(stream.request)
        except Exception as error:  # The next request must not pay for this one.
            answer = error_response(error)
        if isinstance(answer, Response):
            self._respond(stream, answer)
        elif isinstance(answer, Awaitable):
            task = asyncio.ensure_future(self._answer_later(stream, answer))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        else:  # RFC 9113, 8.6: HTTP/2 has no upgrades.
            self._respond(stream, error_response(HttpError(HTTPStatus.NOT_IMPLEMENTED)))

    async def _answer_later(self, stream: Stream, answer: Awaitable[Response]) -> None:
        try:
            response = await answer
        except Exception as error:
            response = error_response(error)
        self._respond(stream, response)
        self._flush()

    def _respond(self, stream: Stream, response: Response) -> None:
        if stream.cancelled or self._closing:
            self._forget(stream.id)
            return
        body = response.body
        block = header_block(
            response.status,
            (
                (b"server", b"reference"),
                (b"date", self.shared.date),
                (b"content-type", response.content_type),
                (b"content-length", b"%d" % len(body)),
                *response.headers,
            ),
        )
        if not body or stream.request.method == b"HEAD":
            self._send(frame(HEADERS, END_HEADERS | END_STREAM, stream.id, block))
            self._forget(stream.id)
            return
        self._send(frame(HEADERS, END_HEADERS, stream.id, block))
        stream.rest = memoryview(body)
        self._unsent[stream.id] = stream
        self._send_rest(stream)

    def _proceed(self) -> None:
        """Sends what the windows held back, then answers what had to wait behind that."""
        for stream in list(self._unsent.values()):
            if self._window <= 0 or not self._writable:
                break
            self._send_rest(stream)
        while self._waiting and self._writable and len(self._unsent) < MAX_UNSENT:
            self._dispatch(self._waiting.popleft())

    def _send_rest(self, stream: Stream) -> None:
        """Sends as much of the answer as both windows and the transport take."""
        while self._writable:
            size = min(len(stream.rest), self._window, stream.window, MAX_FRAME_BYTES)
            if size <= 0:
                return
            last = END_STREAM if size == len(stream.rest) else 0
            self._window -= size
            stream.window -= size
            self._send(frame(DATA, last, stream.id, stream.rest[:size]))
            stream.rest = stream.rest[size:]
            if last:
                self._forget(stream.id)
                return

    def _resize_windows(self, value: int) -> None:
        """RFC 9113, 6.9.2: a new initial size changes the windows that are open."""
        change, self._initial_window = value - self._initial_window, value
        for stream in self._streams.values():
            stream.window += change
        if value > MAX_WINDOW or any(each.window > MAX_WINDOW for each in self._streams.values()):
            raise ConnectionBroken(FLOW_CONTROL_ERROR)

    def _reset(self, stream: int, code: int) -> None:
        if found := self._streams.get(stream):
            found.cancelled = True
        self._forget(stream)
        self._send(number(RST_STREAM, stream, code))

    def _forget(self, stream: int) -> None:
        self._streams.pop(stream, None)
        self._unsent.pop(stream, None)

    def _send(self, data: bytes) -> None:
        self._output.append(data)
        self._output_bytes += len(data)
        if self._output_bytes > WRITE_BYTES:
            self._flush()

    def _flush(self) -> None:
        """One system call for all the answers to what one read brought."""
        if self._output:
            data = b"".join(self._output)
            self._output.clear()
            self._output_bytes = 0
            self._transport.write(data)
        if self._closing or (self._draining and not self._streams):
            self._closing = True
            self._transport.close()

    # ------------------------------------------------------------------------------- draining

    def _go_away(self, code: int) -> None:
        self._send(frame(GOAWAY, 0, 0, self._last_stream.to_bytes(4) + code.to_bytes(4)))

    def drain(self) -> None:
        """Takes no more requests, and ends the connection when the last one is answered."""
        if not self._draining and not self._closing:
            self._draining = True
            self._go_away(NO_ERROR)
            self._flush()

    def abort(self) -> None:
        """Ends the connection now."""
        self._transport.abort()


HANDLERS: Mapping[int, Callable[[Http2Connection, int, int, bytes], None]] = {
    DATA: Http2Connection._on_data,
    HEADERS: Http2Connection._on_headers,
    PRIORITY: Http2Connection._on_priority,
    RST_STREAM: Http2Connection._on_rst_stream,
    SETTINGS: Http2Connection._on_settings,
    PUSH_PROMISE: Http2Connection._on_push_promise,
    PING: Http2Connection._on_ping,
    GOAWAY: Http2Connection._on_goaway,
    WINDOW_UPDATE: Http2Connection._on_window_update,
    CONTINUATION: Http2Connection._on_continuation,
}
