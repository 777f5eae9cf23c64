"""Response messages with what they mean: the tables behind the tests of the parser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from diagnose.load.http1 import FramingError, Head, Response, ResponseParser


@dataclass(frozen=True)
class Message:
    """Bytes of one message and the response that they are; None for an interim response."""

    data: bytes
    response: Response | None

    @property
    def until_close(self) -> bool:
        return self.response is not None and self.response.head.until_close

    @property
    def body_start(self) -> int:
        return self.data.index(b"\r\n\r\n") + 4


def answer(
    body: bytes = b"",
    status: int = 200,
    *,
    chunked: bool = False,
    until_close: bool = False,
    close: bool = False,
    content_type: str = "",
    content_encoding: str = "",
) -> Response:
    length = None if chunked or until_close else len(body)
    head = Head(status, length, chunked, close or until_close, content_type, content_encoding)
    return Response(head, body, len(body))


def raw(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


OK = "HTTP/1.1 200 OK"
OLD = "HTTP/1.0 200 OK"
CHUNKED = "Transfer-Encoding: chunked"
TRICKY = b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"

COMPLETE: dict[str, Message] = {
    "content_length": Message(
        raw(OK, "Content-Length: 2", "Content-Type: text/plain", body=b"ok"),
        answer(b"ok", content_type="text/plain"),
    ),
    "content_length_zero": Message(raw(OK, "Content-Length: 0"), answer()),
    "content_length_leading_zeros": Message(
        raw(OK, "Content-Length: 0002", body=b"55"), answer(b"55")
    ),
    "content_length_twice_the_same": Message(
        raw(OK, "Content-Length: 2", "content-length: 2", body=b"75"), answer(b"75")
    ),
    "names_in_any_case_and_whitespace": Message(
        raw(OK, "cOnTeNt-LeNgTh:\t 3 \t", "CONTENT-TYPE:a/b; charset=x", "X-Empty:", body=b"abc"),
        answer(b"abc", content_type="a/b; charset=x"),
    ),
    "no_reason": Message(
        raw("HTTP/1.1 404 ", "Content-Length: 1", body=b"-"), answer(b"-", status=404)
    ),
    "no_reason_and_no_space": Message(raw("HTTP/1.1 500", "Content-Length: 0"), answer(status=500)),
    "reason_in_latin_1": Message(
        raw("HTTP/1.1 299 d\xe9j\xe0 vu", "Content-Length: 0"), answer(status=299)
    ),
    "body_that_looks_like_a_head": Message(
        raw(OK, f"Content-Length: {len(TRICKY)}", body=TRICKY), answer(TRICKY)
    ),
    "content_encoding": Message(
        raw(OK, "Content-Encoding: GZip", "Content-Length: 4", body=b"\x1f\x8b\x08\x00"),
        answer(b"\x1f\x8b\x08\x00", content_encoding="gzip"),
    ),
    "close": Message(
        raw(OK, "Connection: close", "Content-Length: 2", body=b"ok"), answer(b"ok", close=True)
    ),
    "close_among_tokens": Message(
        raw(OK, "Connection: x, CLOSE ,y", "Content-Length: 0"), answer(close=True)
    ),
    "close_in_a_second_line": Message(
        raw(OK, "Connection: x", "Connection: close", "Content-Length: 0"), answer(close=True)
    ),
    "close_as_part_of_a_token": Message(
        raw(OK, "Connection: closed", "Content-Length: 0"), answer()
    ),
    "keep_alive": Message(raw(OK, "Connection: keep-alive", "Content-Length: 0"), answer()),
    "http_1_0": Message(raw(OLD, "Content-Length: 2", body=b"ok"), answer(b"ok", close=True)),
    "http_1_0_keep_alive": Message(
        raw(OLD, "Connection: Keep-Alive", "Content-Length: 2", body=b"ok"), answer(b"ok")
    ),
    "no_content": Message(raw("HTTP/1.1 204 No Content"), answer(status=204)),
    "no_content_with_a_length": Message(
        raw("HTTP/1.1 204 No Content", "Content-Length: 5"), answer(status=204)
    ),
    "not_modified_with_a_length": Message(
        raw("HTTP/1.1 304 Not Modified", "Content-Length: 10"), answer(status=304)
    ),
    "not_modified_chunked": Message(raw("HTTP/1.1 304 Not Modified", CHUNKED), answer(status=304)),
    "switching_protocols": Message(
        raw("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"),
        answer(status=101),
    ),
    "chunked": Message(raw(OK, CHUNKED, body=b"2\r\nok\r\n0\r\n\r\n"), answer(b"ok", chunked=True)),
    "chunked_empty": Message(raw(OK, CHUNKED, body=b"0\r\n\r\n"), answer(chunked=True)),
    "chunked_in_several": Message(
        raw(OK, CHUNKED, body=b"1\r\na\r\n3\r\nbcd\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"),
        answer(b"abcd0123456789abcdef", chunked=True),
    ),
    "chunked_size_forms": Message(
        raw(OK, CHUNKED, body=b"00A\r\n0123456789\r\na \t\r\nabcdefghij\r\n000\r\n\r\n"),
        answer(b"0123456789abcdefghij", chunked=True),
    ),
    "chunked_extensions": Message(
        raw(OK, CHUNKED, body=b'2;a\r\nok\r\n3 ; b="c;d"\r\n...\r\n0;last\r\n\r\n'),
        answer(b"ok...", chunked=True),
    ),
    "chunked_trailers": Message(
        raw(OK, CHUNKED, body=b"2\r\nok\r\n0\r\nX-Sum: 1\r\nX-More: \r\n\r\n"),
        answer(b"ok", chunked=True),
    ),
    "chunked_data_with_line_ends": Message(
        raw(OK, CHUNKED, body=b"9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n"),
        answer(b"\r\n0\r\n\r\n\r\n", chunked=True),
    ),
    "chunked_wins_over_content_length": Message(
        raw(OK, "Content-Length: 3", CHUNKED, body=b"2\r\nok\r\n0\r\n\r\n"),
        answer(b"ok", chunked=True),
    ),
    "chunked_last_of_several_codings": Message(
        raw(OK, "Transfer-Encoding: gzip, Chunked", body=b"1\r\nz\r\n0\r\n\r\n"),
        answer(b"z", chunked=True),
    ),
    "chunked_in_a_second_line": Message(
        raw(OK, "Transfer-Encoding: gzip", CHUNKED, body=b"1\r\nz\r\n0\r\n\r\n"),
        answer(b"z", chunked=True),
    ),
    "chunked_and_close": Message(
        raw(OK, CHUNKED, "Connection: close", body=b"0\r\n\r\n"), answer(chunked=True, close=True)
    ),
}
INTERIM: dict[str, Message] = {
    "continue": Message(raw("HTTP/1.1 100 Continue"), None),
    "continue_with_a_length": Message(raw("HTTP/1.1 100 Continue", "Content-Length: 7"), None),
    "early_hints": Message(raw("HTTP/1.1 103 Early Hints", "Link: </a>; rel=preload"), None),
}
UNTIL_CLOSE: dict[str, Message] = {
    "until_close": Message(
        raw(OK, "Content-Type: text/html", body=b"all of it\r\n\r\n"),
        answer(b"all of it\r\n\r\n", until_close=True, content_type="text/html"),
    ),
    "until_close_empty": Message(raw(OK), answer(until_close=True)),
    "until_close_http_1_0": Message(
        raw(OLD, body=b"0\r\n\r\n"), answer(b"0\r\n\r\n", until_close=True)
    ),
    "until_close_despite_keep_alive": Message(
        raw(OLD, "Connection: keep-alive", body=b"x"), answer(b"x", until_close=True)
    ),
    "until_close_by_another_coding": Message(
        raw(OK, "Content-Length: 1", "Transfer-Encoding: chunked, gzip", body=b"xyz"),
        answer(b"xyz", until_close=True),
    ),
}
SEQUENCES: dict[str, list[Message]] = {
    "nothing": [],
    "interim_then_response": [INTERIM["continue"], COMPLETE["content_length"]],
    "interim_alone": [INTERIM["continue_with_a_length"]],
    "two_interims_then_chunked": [
        INTERIM["continue"],
        INTERIM["early_hints"],
        COMPLETE["chunked_trailers"],
    ],
    "interim_between_responses": [
        COMPLETE["chunked"],
        INTERIM["early_hints"],
        COMPLETE["no_content"],
    ],
    "pipelined": [COMPLETE["content_length"]] * 4,
    "pipelined_of_every_framing": [
        COMPLETE["chunked_extensions"],
        COMPLETE["no_content_with_a_length"],
        COMPLETE["body_that_looks_like_a_head"],
        COMPLETE["not_modified_with_a_length"],
        COMPLETE["chunked_data_with_line_ends"],
        UNTIL_CLOSE["until_close"],
    ],
}
STREAMS: dict[str, list[Message]] = {
    **{name: [message] for name, message in {**COMPLETE, **UNTIL_CLOSE}.items()},
    **SEQUENCES,
}


def stream_bytes(messages: Sequence[Message]) -> bytes:
    return b"".join(message.data for message in messages)


def expected(messages: Sequence[Message]) -> list[Response]:
    return [message.response for message in messages if message.response is not None]


def boundaries(messages: Sequence[Message]) -> list[int]:
    """The positions at which each message ends."""
    return list(accumulate(len(message.data) for message in messages))


def bytewise(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def split_at(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def read(pieces: Sequence[bytes]) -> list[Response]:
    """All responses of a connection that then ends.

    Raises: FramingError.
    """
    parser = ResponseParser()
    responses = [response for piece in pieces for response in parser.feed(piece)]
    last = parser.end()
    return responses if last is None else [*responses, last]


def outcome(pieces: Sequence[bytes]) -> list[Response] | None:
    """As `read`, but None for a stream that is refused."""
    try:
        return read(pieces)
    except FramingError:
        return None
