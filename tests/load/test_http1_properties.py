"""Streams that nobody wrote down: any valid one in any pieces, cut off anywhere, and damaged."""

from __future__ import annotations

import signal
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.load.http1 import FramingError, ResponseParser
from tests.load.http1_streams import (
    CHUNKED,
    OK,
    Message,
    answer,
    bytewise,
    expected,
    outcome,
    raw,
    read,
    split_at,
    stream_bytes,
)

# No example takes a thousandth of that: who is not back by then never comes back.
HANG_S = 20.0
KEEP = 64 * 1024
# What is kept, what waits for its end, and a copy of each while they are joined.
HELD = 8 * KEEP

# Any status that has a body.
statuses = st.sampled_from([200, 201, 299, 301, 404, 418, 500, 599, 999])
interim_statuses = st.sampled_from([100, 102, 103, 199])
names = st.from_regex(r"X-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,9}", fullmatch=True)
values = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12)
lines = st.lists(st.builds("{}:{}".format, names, values), max_size=3)
extensions = st.sampled_from(["", ";a", ";a=b", ' ; a="b;c"', ";a=b;c=d"])
reasons = st.sampled_from(["", " ", " OK", " Not at all", " d\xe9j\xe0 vu"])


@contextmanager
def no_hang() -> Iterator[None]:
    """Fails a test that never ends."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"still at work after {HANG_S:.0f} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@st.composite
def chunked_bodies(draw: st.DrawFn, body: bytes) -> bytes:
    """The body in chunks of any size, with extensions, leading zeros and trailers."""
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(body) - 1)), max_size=4)))
    wire = b""
    for chunk in filter(None, split_at(body, [cut for cut in cuts if cut < len(body)])):
        size = draw(st.sampled_from(["{:x}", "{:X}", "{:04x}"])).format(len(chunk))
        wire += f"{size}{draw(extensions)}\r\n".encode() + chunk + b"\r\n"
    last = draw(st.sampled_from(["0", "000"])) + draw(extensions)
    return wire + raw(last, *draw(lines))


@st.composite
def responses(draw: st.DrawFn) -> Message:
    """A response whose end shows in its bytes."""
    status, body = draw(statuses), draw(st.binary(max_size=60))
    chunked, close = draw(st.booleans()), draw(st.booleans())
    head = [CHUNKED if chunked else f"Content-Length: {len(body)}", *draw(lines)]
    head += ["Connection: close"] * close
    first = f"HTTP/1.1 {status}{draw(reasons)}"
    wire = draw(chunked_bodies(body)) if chunked else body
    data = raw(first, *draw(st.permutations(head)), body=wire)
    return Message(data, answer(body, status, chunked=chunked, close=close))


@st.composite
def interims(draw: st.DrawFn) -> Message:
    """A response before the response."""
    first = f"HTTP/1.1 {draw(interim_statuses)}{draw(reasons)}"
    return Message(raw(first, *draw(lines)), None)


@st.composite
def endless_responses(draw: st.DrawFn) -> Message:
    """A response that ends with the connection."""
    status, body = draw(statuses), draw(st.binary(max_size=60))
    first = f"HTTP/1.{draw(st.sampled_from('01'))} {status}{draw(reasons)}"
    return Message(raw(first, *draw(lines), body=body), answer(body, status, until_close=True))


@st.composite
def streams(draw: st.DrawFn) -> list[Message]:
    """Responses one after the other, interim ones among them, one without a length at the end."""
    messages = draw(st.lists(st.one_of(responses(), responses(), interims()), max_size=5))
    if draw(st.booleans()):
        messages.append(draw(endless_responses()))
    return messages


@st.composite
def pieces_of(draw: st.DrawFn, data: bytes) -> list[bytes]:
    return split_at(data, draw(st.lists(st.integers(0, len(data)), max_size=12)))


@settings(deadline=None, max_examples=50)
@given(streams(), st.data())
def test_any_stream_in_any_pieces_gives_the_same(
    messages: list[Message], data: st.DataObject
) -> None:
    whole = stream_bytes(messages)
    with no_hang():
        assert read([whole]) == expected(messages)
        assert read(data.draw(pieces_of(whole))) == expected(messages)
        assert read(bytewise(whole)) == expected(messages)


@settings(deadline=None, max_examples=50)
@given(streams(), st.data())
def test_any_stream_cut_off_anywhere(messages: list[Message], data: st.DataObject) -> None:
    """What came whole is given, and the rest is refused or, without a length, what came of it."""
    whole = stream_bytes(messages)
    cut = data.draw(st.integers(0, len(whole)))
    parser = ResponseParser()
    with no_hang():
        given_out = [
            response
            for piece in data.draw(pieces_of(whole[:cut]))
            for response in parser.feed(piece)
        ]
        finished = expected(messages)[: len(given_out)]
        assert given_out == finished
        try:
            last = parser.end()
        except FramingError:
            assert cut < len(whole)
            return
    if last is not None:
        assert last.head.until_close
        assert last.body is not None
        assert whole[:cut].endswith(last.body)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A valid stream with bytes flipped, taken out, put in, doubled or missing at the end."""
    data = bytearray(stream_bytes(draw(streams())))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(1, 12)))
        match draw(st.sampled_from(["flip", "delete", "insert", "double", "cut"])):
            case "flip":
                data[at : at + 1] = bytes(
                    byte ^ 1 << draw(st.integers(0, 7)) for byte in data[at : at + 1]
                )
            case "delete":
                del data[at:end]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=4))
            case "double":
                data[at:at] = data[at:end]
            case _:
                del data[at:]
    return bytes(data)


@settings(deadline=None, max_examples=80)
@given(damaged(), st.data())
def test_damage_raises_nothing_but_framing_errors(wire: bytes, data: st.DataObject) -> None:
    """And is judged the same in any pieces."""
    with no_hang():
        seen = outcome([wire])
        assert outcome(data.draw(pieces_of(wire))) == seen
        assert outcome(bytewise(wire)) == seen


# -- what never ends ----------------------------------------------------------------------------

ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "status_line": (b"HTTP/1.1 200 ", b"O"),
    "header": (f"{OK}\r\nX: ".encode(), b"y"),
    "headers": (f"{OK}\r\n".encode(), b"X: y\r\n"),
    "interims": (b"", raw("HTTP/1.1 100 Continue")),
    "interims_with_headers": (b"", raw("HTTP/1.1 103 Early Hints", "Link: </a>")),
    "body": (raw(OK, "Content-Length: 1000000000"), b"x"),
    "body_until_close": (raw(OK), b"x"),
    "chunk": (raw(OK, CHUNKED, body=b"fffffffffffffff\r\n"), b"x"),
    "chunks": (raw(OK, CHUNKED), b"2\r\nok\r\n"),
    "chunks_of_one_byte": (raw(OK, CHUNKED), b"1;a=b\r\nx\r\n"),
    "chunk_size": (raw(OK, CHUNKED), b"0"),
    "extension": (raw(OK, CHUNKED, body=b"2;"), b"a"),
    "trailer": (raw(OK, CHUNKED, body=b"0\r\nX: "), b"y"),
    "trailers": (raw(OK, CHUNKED, body=b"0\r\n"), b"X: y\r\n"),
}
REFUSED_AT_LENGTH = {
    *("status_line", "header", "headers", "chunk_size", "extension", "trailer", "trailers")
}


def fed_until_refused(parser: ResponseParser, pieces: Sequence[bytes]) -> bool:
    """Whether the parser refused one of them."""
    try:
        for piece in pieces:
            assert parser.feed(piece) == []
    except FramingError:
        return True
    return False


@pytest.mark.parametrize("size", [16384, 100], ids=["large_pieces", "small_pieces"])
@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_is_refused_or_not_held(name: str, size: int) -> None:
    start, more = ENDLESS[name]
    # More than may be held: as bytes, or as objects of 33 bytes and more.
    data = start + more * (10 * KEEP if len(more) == 1 else 16_000)
    pieces = split_at(data, range(size, len(data), size))
    parser = ResponseParser(keep=KEEP)
    with no_hang():
        tracemalloc.start()
        try:
            refused = fed_until_refused(parser, pieces)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert refused == (name in REFUSED_AT_LENGTH)
    assert peak < HELD
