"""Valid streams: whole, in pieces of every size, cut off everywhere; bodies that are not kept."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.load.http1 import FramingError, ResponseParser, parse_head
from tests.load.http1_streams import (
    CHUNKED,
    COMPLETE,
    INTERIM,
    OK,
    STREAMS,
    UNTIL_CLOSE,
    Message,
    boundaries,
    bytewise,
    expected,
    raw,
    read,
    split_at,
    stream_bytes,
)

every_stream = pytest.mark.parametrize("messages", STREAMS.values(), ids=STREAMS.keys())


@every_stream
def test_whole_and_byte_by_byte_and_in_two_pieces(messages: list[Message]) -> None:
    data = stream_bytes(messages)
    assert read([data]) == expected(messages)
    assert read(bytewise(data)) == expected(messages)
    for cut in range(len(data) + 1):
        assert read([data[:cut], data[cut:]]) == expected(messages), cut


@every_stream
def test_cut_off_at_every_position(messages: list[Message]) -> None:
    """What is complete is given at once; the end is clean only between messages."""
    data, ends = stream_bytes(messages), boundaries(messages)
    last = messages[-1] if messages and messages[-1].until_close else None
    body_start = len(data) if last is None else len(data) - len(last.data) + last.body_start
    for cut in range(len(data)):
        parser = ResponseParser()
        complete = [
            message.response
            for message, end in zip(messages, ends, strict=True)
            if end <= cut and message.response is not None and not message.until_close
        ]
        assert parser.feed(data[:cut]) == complete, cut
        assert parser.idle == (cut in (0, *ends)), cut
        if parser.idle:
            assert parser.end() is None, cut
        elif cut >= body_start:
            response = parser.end()
            assert response is not None
            assert response.body == data[body_start:cut], cut
        else:
            with pytest.raises(FramingError, match="ended inside a response"):
                parser.end()


def test_responses_are_given_with_their_last_byte() -> None:
    parser = ResponseParser()
    data = COMPLETE["chunked_trailers"].data
    assert parser.feed(data[:-1]) == []
    assert parser.feed(data[-1:] + data[:5]) == [COMPLETE["chunked_trailers"].response]
    assert not parser.idle


def test_end_completes_a_response_only_once() -> None:
    parser = ResponseParser()
    assert parser.feed(UNTIL_CLOSE["until_close"].data) == []
    assert parser.end() == UNTIL_CLOSE["until_close"].response
    assert parser.end() is None
    assert parser.idle


def test_nothing_fed_changes_nothing() -> None:
    parser = ResponseParser()
    assert parser.feed(b"") == []
    assert parser.idle
    parser.feed(b"HTTP/1.1 2")
    assert parser.feed(b"") == []
    assert not parser.idle


def test_parse_head_takes_the_bytes_before_the_empty_line() -> None:
    head = parse_head(raw(OK, "Content-Length: 12")[:-4])
    assert (head.status, head.length, head.chunked, head.close) == (200, 12, False, False)
    assert not head.until_close


# -- any stream in any pieces -----------------------------------------------------------------

kept_open = st.sampled_from([*COMPLETE.values(), *INTERIM.values()])


@st.composite
def streams(draw: st.DrawFn) -> list[Message]:
    messages = draw(st.lists(kept_open, max_size=5))
    last = draw(st.sampled_from([None, *UNTIL_CLOSE.values()]))
    return messages if last is None else [*messages, last]


@st.composite
def pieces_of(draw: st.DrawFn, data: bytes) -> list[bytes]:
    return split_at(data, draw(st.lists(st.integers(0, len(data)), max_size=12)))


@settings(deadline=None, max_examples=100)
@given(streams(), st.data())
def test_any_split_gives_the_same_responses(messages: list[Message], data: st.DataObject) -> None:
    pieces = data.draw(pieces_of(stream_bytes(messages)))
    assert read(pieces) == expected(messages)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.data())
def test_any_body_comes_back_from_chunks(chunks: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    (response,) = read(data.draw(pieces_of(raw(OK, CHUNKED, body=wire))))
    assert response.body == b"".join(chunks)
    assert response.body_length == sum(map(len, chunks))


# -- what is kept -------------------------------------------------------------------------------


def framed(framing: str, body: bytes) -> bytes:
    if framing == "content_length":
        return raw(OK, f"Content-Length: {len(body)}", body=body)
    if framing == "chunked":
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return raw(OK, CHUNKED, body=chunk + b"0\r\n\r\n")
    return raw(OK, body=body)


@pytest.mark.parametrize("size", [0, 10, 11, 300])
@pytest.mark.parametrize("framing", ["content_length", "chunked", "until_close"])
def test_longer_bodies_are_counted_and_not_kept(framing: str, size: int) -> None:
    body = bytes(range(256)) * 2
    data = framed(framing, body[:size])
    for pieces in ([data], bytewise(data)):
        parser = ResponseParser(keep=10)
        found = [response for piece in pieces for response in parser.feed(piece)]
        last = parser.end()
        (response,) = found if last is None else [last]
        assert response.body == (body[:size] if size <= 10 else None)
        assert response.body_length == size


def test_a_body_too_long_does_not_touch_the_next_one() -> None:
    parser = ResponseParser(keep=3)
    long, short = framed("content_length", b"1234"), framed("chunked", b"123")
    responses = parser.feed(long + short + long + short)
    assert [response.body for response in responses] == [None, b"123", None, b"123"]
    assert [response.body_length for response in responses] == [4, 3, 4, 3]


@pytest.mark.parametrize("framing", ["content_length", "chunked", "until_close"])
def test_the_parser_does_not_grow_with_the_body(framing: str) -> None:
    piece, count = b"x" * 65536, 128
    head = {
        "content_length": raw(OK, f"Content-Length: {len(piece) * count}"),
        "chunked": raw(OK, CHUNKED, body=b"%x\r\n" % (len(piece) * count)),
        "until_close": raw(OK),
    }[framing]
    parser = ResponseParser(keep=100_000)
    parser.feed(head)
    tracemalloc.start()
    try:
        responses = [response for _ in range(count) for response in parser.feed(piece)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(piece)
    if framing == "chunked":
        responses = parser.feed(b"\r\n0\r\n\r\n")
    if framing == "until_close":
        last = parser.end()
        responses = [last] if last else []
    assert [(response.body, response.body_length) for response in responses] == [
        (None, len(piece) * count)
    ]
