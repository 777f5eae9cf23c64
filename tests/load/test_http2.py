"""HTTP/2 answers: frames cut anywhere, in any order, and frames that may not be."""

from __future__ import annotations

from collections.abc import Iterable

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.load.http1 import FramingError, Response
from diagnose.load.http2 import MAX_FRAME, MAX_HEADERS, PREFACE, WINDOW, Http2Reader, gets
from tests.load.http1_streams import bytewise, split_at

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(5, 10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 1, 1, 4, 8, 32


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def block(status: str = "200", *fields: tuple[str, str]) -> bytes:
    return hpack.Encoder().encode([(":status", status), *fields])


HELLO = frame(SETTINGS)
JSON = block("200", ("content-type", "application/json"), ("content-encoding", "GZIP"))


def answer(stream: int, body: bytes = b"ok", head: bytes = JSON) -> bytes:
    return frame(HEADERS, END_HEADERS, stream, head) + frame(DATA, END_STREAM, stream, body)


def read(pieces: Iterable[bytes], reader: Http2Reader | None = None) -> list[Response]:
    reader = reader or Http2Reader()
    return [response for piece in pieces for response in reader.feed(piece)]


# -- requests ------------------------------------------------------------------------------------


def test_a_connection_begins_with_everything_that_it_asks() -> None:
    data = gets(["/a", "/b?c=1"], "127.0.0.1:80", "https")
    assert data.startswith(PREFACE)
    rest = data[len(PREFACE) :]
    decoder = hpack.Decoder()
    asked = []
    kinds = []
    while rest:
        size, kind, flags = int.from_bytes(rest[:3]), rest[3], rest[4]
        stream, payload, rest = int.from_bytes(rest[5:9]), rest[9 : 9 + size], rest[9 + size :]
        kinds.append(kind)
        if kind == HEADERS:
            assert flags == END_STREAM | END_HEADERS
            fields = dict(decoder.decode(payload))
            asked.append((stream, fields[":path"], fields[":authority"], fields[":scheme"]))
    assert kinds == [SETTINGS, WINDOW_UPDATE, HEADERS, HEADERS]
    assert asked == [
        (1, "/a", "127.0.0.1:80", "https"),
        (3, "/b?c=1", "127.0.0.1:80", "https"),
    ]


# -- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [lambda data: [data], bytewise], ids=["whole", "bytewise"])
def test_an_answer(cut: object) -> None:
    (response,) = read(cut(HELLO + answer(1, b'{"a":1}')))  # type: ignore[operator]
    head = response.head
    assert (head.status, head.content_type, head.content_encoding) == (
        *(200, "application/json", "gzip"),
    )
    assert (response.body, response.body_length) == (b'{"a":1}', 7)
    assert not head.close


def test_answers_come_in_the_order_of_their_requests() -> None:
    reader = Http2Reader()
    assert read([HELLO, answer(3, b"second")], reader) == []
    found = read([answer(1, b"first"), answer(5, b"third")], reader)
    assert [response.body for response in found] == [b"first", b"second", b"third"]


def test_a_body_in_frames_between_those_of_another() -> None:
    heads = frame(HEADERS, END_HEADERS, 1, block()) + frame(HEADERS, END_HEADERS, 3, block())
    data = [
        *(HELLO, heads, frame(DATA, 0, 1, b"a"), frame(DATA, 0, 3, b"x")),
        *(frame(DATA, END_STREAM, 3, b"y"), frame(DATA, END_STREAM, 1, b"b")),
    ]
    assert [response.body for response in read(data)] == [b"ab", b"xy"]


def test_a_head_without_a_body_and_one_with_trailers() -> None:
    bare = frame(HEADERS, END_STREAM | END_HEADERS, 1, block("404"))
    trailers = frame(HEADERS, END_STREAM | END_HEADERS, 3, hpack.Encoder().encode([("x", "y")]))
    data = [HELLO, bare, frame(HEADERS, END_HEADERS, 3, block()), frame(DATA, 0, 3, b"b"), trailers]
    assert [(each.head.status, each.body) for each in read(data)] == [(404, b""), (200, b"b")]


def test_interim_answers_are_passed_over() -> None:
    interim = frame(HEADERS, END_HEADERS, 1, block("103"))
    assert [each.head.status for each in read([HELLO, interim, answer(1)])] == [200]


def test_padding_priority_and_continuation() -> None:
    head = block("200", ("a", "b" * 100))
    padded = b"\x03" + b"\x00\x00\x00\x00\x10" + head[:10] + b"\0\0\0"
    data = [
        HELLO,
        frame(HEADERS, PADDED | PRIORITIZED, 1, padded),
        frame(CONTINUATION, 0, 1, head[10:20]),
        frame(CONTINUATION, END_HEADERS, 1, head[20:]),
        frame(DATA, PADDED | END_STREAM, 1, b"\x02body\0\0"),
    ]
    assert [(each.head.status, each.body) for each in read(data)] == [(200, b"body")]


def test_settings_and_pings_are_acknowledged_once() -> None:
    reader = Http2Reader()
    reader.feed(HELLO + frame(PING, 0, 0, b"12345678") + frame(SETTINGS, ACK) + frame(PING, ACK))
    assert reader.owed() == frame(SETTINGS, ACK) + frame(PING, ACK, 0, b"12345678")
    assert reader.owed() == b""


def test_what_need_not_be_understood_is_passed_over() -> None:
    noise = [frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"), frame(PRIORITY, 0, 1, b"12345"), frame(99)]
    graceful = frame(GOAWAY, 0, 0, b"\0\0\0\1" + b"\0\0\0\0")
    assert len(read([HELLO, *noise, graceful, answer(1)])) == 1


def test_a_stream_that_was_answered_may_be_reset() -> None:
    reset = frame(RST_STREAM, 0, 1, b"\0\0\0\0")
    assert len(read([HELLO + answer(1) + reset])) == 1
    assert len(read([HELLO + answer(1), reset, answer(3)])) == 2


def test_data_on_a_stream_that_was_answered() -> None:
    with pytest.raises(FramingError, match="on stream 1, not asked for"):
        read([HELLO + answer(1), frame(DATA, 0, 1, b"x")])


# -- what may not be -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not HTTP/2: b'HTTP/1.1 400"),
        (answer(1), "not HTTP/2"),
        (HELLO + frame(DATA, 0, 1, b"x" * (MAX_FRAME + 1)), "at most 16384"),
        (HELLO + frame(DATA, 0, 1, b"x"), "before its head"),
        (HELLO + frame(DATA, 0, 2, b"x"), "on stream 2, not asked for"),
        (HELLO + answer(1) + frame(DATA, 0, 1, b"x"), "on stream 1 before its head or after"),
        (HELLO + answer(3) + frame(DATA, 0, 3, b"x"), "after its end"),
        (HELLO + answer(3) + frame(HEADERS, END_HEADERS, 3, block()), "after its end"),
        (HELLO + frame(RST_STREAM, 0, 1, b"\0\0\0\7"), "stream 1 was reset with error 7"),
        (HELLO + frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\1"), "ended by the server with error 1"),
        (HELLO + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2"), "push"),
        (HELLO + frame(CONTINUATION, END_HEADERS, 1, b""), "wrong place"),
        (HELLO + frame(HEADERS, 0, 1, block()) + frame(DATA, 0, 1, b""), "wrong place"),
        (HELLO + frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff"), "cannot be decoded"),
        (HELLO + frame(HEADERS, END_HEADERS, 1, block("2x0")), "with the status '2x0'"),
        (HELLO + frame(HEADERS, END_HEADERS | PADDED, 1, b"\x09ab"), "padding"),
        (
            HELLO
            + frame(HEADERS, 0, 1, b"")
            + frame(CONTINUATION, 0, 1, b"x" * MAX_FRAME) * (MAX_HEADERS // MAX_FRAME + 1),
            "header block longer than",
        ),
        (
            HELLO
            + frame(HEADERS, END_HEADERS, 1, block())
            + frame(DATA, 0, 1, b"x" * MAX_FRAME) * (WINDOW // MAX_FRAME + 1),
            "beyond the window",
        ),
    ],
    ids=range(18),
)
def test_what_may_not_be(data: bytes, problem: str) -> None:
    with pytest.raises(FramingError) as caught:
        read([data])
    assert problem in str(caught.value)


def test_the_end_between_answers_and_inside_one() -> None:
    reader = Http2Reader()
    read([HELLO, answer(1)], reader)
    assert reader.end() is None
    read([answer(3)[:-1]], reader)
    with pytest.raises(FramingError, match="inside a response"):
        reader.end()


def test_an_answer_cut_off_anywhere_is_no_answer() -> None:
    whole = HELLO + answer(1)
    for size in range(len(whole)):
        assert read([whole[:size]]) == []


frames = st.builds(
    frame,
    st.integers(0, 12),
    st.integers(0, 255),
    st.sampled_from([0, 1, 2, 3, 5, 2**31 - 1]),
    st.one_of(st.binary(max_size=60), st.sampled_from([JSON, block(), block("101"), b"\0" * 8])),
)


@settings(max_examples=160, deadline=None)
@given(
    st.lists(st.one_of(frames, st.binary(max_size=20)), max_size=8), st.lists(st.integers(0, 400))
)
def test_any_frames_are_read_or_refused_however_they_are_cut(
    parts: list[bytes], cuts: list[int]
) -> None:
    def outcome(pieces: Iterable[bytes]) -> object:
        reader = Http2Reader()
        found: list[Response] = []
        try:
            for piece in pieces:
                found += reader.feed(piece)
            reader.end()
        except FramingError as error:
            return str(error)
        return found

    data = HELLO + b"".join(parts)
    whole, cut = outcome([data]), outcome(split_at(data, cuts))
    # A refusal quotes what has arrived, which is not the same in pieces.
    assert type(whole) is type(cut)
    if isinstance(whole, list):
        assert whole == cut
