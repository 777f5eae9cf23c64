"""Streams that are no HTTP/1.x responses: a FramingError, and never anything else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.load.http1 import MAX_CHUNK_LINE, MAX_HEAD, FramingError, ResponseParser, parse_head
from tests.load.http1_streams import (
    CHUNKED,
    COMPLETE,
    OK,
    STREAMS,
    Message,
    bytewise,
    outcome,
    raw,
    read,
    split_at,
    stream_bytes,
)

GOOD = COMPLETE["content_length"].data

STATUS_LINES = {
    "garbage": b"hello world\r\n\r\n",
    "binary": bytes(range(128, 256)),
    "tls_alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "http_2_preface_answer": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    "request": b"GET / HTTP/1.1\r\n\r\n",
    "empty_line_first": b"\r\n" + GOOD,
    "space_first": b" " + GOOD,
    "lower_case": b"http/1.1 200 OK\r\n\r\n",
    "http_0_9": b"HTTP/0.9 200 OK\r\n\r\n",
    "http_1_2": b"HTTP/1.2 200 OK\r\n\r\n",
    "http_2": b"HTTP/2 200 OK\r\n\r\n",
    "http_1": b"HTTP/1 200 OK\r\n\r\n",
    "no_status": b"HTTP/1.1\r\n\r\n",
    "word_for_status": b"HTTP/1.1 abc OK\r\n\r\n",
    "two_digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "four_digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status_from_zero": b"HTTP/1.1 020 OK\r\n\r\n",
    "negative_status": b"HTTP/1.1 -200 OK\r\n\r\n",
    "two_spaces": b"HTTP/1.1  200 OK\r\n\r\n",
    "tab": b"HTTP/1.1\t200 OK\r\n\r\n",
    "reason_glued_on": b"HTTP/1.1 200OK\r\n\r\n",
    "bare_return": b"HTTP/1.1 200 OK\rX\r\n\r\n",
    "bare_newline": b"HTTP/1.1 200 OK\nX: y\r\n\r\n",
    "newlines_only": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "endless": b"HTTP/1.1 200 " + b"O" * (MAX_HEAD + 100),
    "good_then_garbage": GOOD + b"garbage",
    "body_longer_than_said": GOOD + b"!",
}
HEADERS = {
    "no_colon": raw(OK, "Content-Length"),
    "no_name": raw(OK, ": 2"),
    "space_before_colon": raw(OK, "Content-Length : 2", body=b"ok"),
    "folded": raw(OK, "X: a", " b", "Content-Length: 0"),
    "tab_first": raw(OK, "\tX: a", "Content-Length: 0"),
    "nul_in_a_value": raw(OK, "X: a\0b", "Content-Length: 0"),
    "nul_in_a_name": raw(OK, "Content-Length\0: 2", "Content-Length: 0"),
    "nul_in_the_reason": raw("HTTP/1.1 200 O\0K", "Content-Length: 0"),
    "bare_newline_in_a_value": raw(OK, "X: a\nContent-Length: 2", "Content-Length: 0"),
    "bare_return_in_a_value": raw(OK, "X: a\rContent-Length: 2", "Content-Length: 0"),
    "newline_at_the_end_of_a_value": raw(OK, "X: a\n", "Content-Length: 0"),
    "return_at_the_end_of_the_head": raw(OK, "Content-Length: 0\r"),
    "endless": (OK + "\r\n" + "X-More: and more\r\n" * 5000).encode(),
    "long_and_whole": raw(OK, "X: " + "y" * (MAX_HEAD + 1000), "Content-Length: 0"),
    "endless_value": (OK + "\r\nX: ").encode() + b"y" * (MAX_HEAD + 100),
}
LENGTHS = [
    "-1",
    "-0",
    "+2",
    "2.0",
    "0x2",
    "",
    "2 2",
    "2_0",
    "two",
    "2;",
    "\xb2",
    "2,2",
    "2, 3",
    "\u0661",
]
FRAMINGS = {
    **{
        f"content_length_{text!a}": b"%b\r\nContent-Length: %b\r\n\r\nok"
        % (OK.encode(), text.encode("utf-8"))
        for text in LENGTHS
    },
    "content_length_of_5000_digits": raw(OK, "Content-Length: " + "1" * 5000),
    "content_length_over_64_bits": raw(OK, "Content-Length: " + "1" * 20),
    "contradictory_lengths": raw(OK, "Content-Length: 2", "Content-Length: 3", body=b"ok"),
    "contradictory_lengths_before_chunked": raw(
        OK, "Content-Length: 2", "Content-Length: 3", CHUNKED, body=b"0\r\n\r\n"
    ),
    "negative_length_beside_a_good_one": raw(OK, "Content-Length: 2", "Content-Length: -2"),
}
CHUNKS = {
    "no_size": b"\r\nok\r\n0\r\n\r\n",
    "not_hexadecimal": b"g\r\nok\r\n0\r\n\r\n",
    "negative": b"-2\r\nok\r\n0\r\n\r\n",
    "plus": b"+2\r\nok\r\n0\r\n\r\n",
    "0x": b"0x2\r\nok\r\n0\r\n\r\n",
    "space_first": b" 2\r\nok\r\n0\r\n\r\n",
    "underscore": b"0_2\r\nok\r\n0\r\n\r\n",
    "extension_alone": b";a=b\r\nok\r\n0\r\n\r\n",
    "extension_without_semicolon": b"2 a\r\nok\r\n0\r\n\r\n",
    "over_64_bits": b"1" + b"0" * 16 + b"\r\nok\r\n0\r\n\r\n",
    "17_digits": b"0" * 16 + b"2\r\nok\r\n0\r\n\r\n",
    "bare_newline": b"2\nok\r\n0\r\n\r\n",
    "bare_return_in_extension": b"2;a\rb\r\nok\r\n0\r\n\r\n",
    "no_line_end_after_data": b"2\r\nok0\r\n\r\n",
    "newline_after_data": b"2\r\nok\n0\r\n\r\n",
    "data_longer_than_said": b"2\r\nokay\r\n0\r\n\r\n",
    "data_shorter_than_said": b"4\r\nok\r\n0\r\n\r\n",
    "endless_size": b"0" * (MAX_CHUNK_LINE + 100),
    "long_extension": b"0;" + b"a" * 5000 + b"\r\n\r\n",
    "long_trailer": b"0\r\nX: " + b"a" * 5000 + b"\r\n\r\n",
    "endless_extension": b"2;" + b"a" * (MAX_CHUNK_LINE + 100),
    "endless_trailer": b"0\r\nX: " + b"a" * (MAX_CHUNK_LINE + 100),
    "endless_trailers": b"0\r\n" + b"X-More: and more\r\n" * (MAX_HEAD // 18 + 1),
    "endless_trailers_and_an_end": b"0\r\n" + b"X: y\r\n" * (MAX_HEAD // 6 + 1) + b"\r\n",
    "second_chunk_bad": b"2\r\nok\r\n?\r\n",
    "not_chunked_at_all": b"ok",
}
CUT_OFF = {
    "in_the_version": b"HT",
    "in_the_status_line": b"HTTP/1.1 20",
    "in_a_header": b"HTTP/1.1 200 OK\r\nContent-Le",
    "before_the_empty_line": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
    "before_the_body": raw(OK, "Content-Length: 1"),
    "in_the_body": raw(OK, "Content-Length: 3", body=b"ok"),
    "in_an_interim": b"HTTP/1.1 100 Continue\r\n",
    "before_the_first_chunk": raw(OK, CHUNKED),
    "in_the_chunk_size": raw(OK, CHUNKED, body=b"2"),
    "in_a_chunk": raw(OK, CHUNKED, body=b"2\r\no"),
    "after_a_chunk": raw(OK, CHUNKED, body=b"2\r\nok\r\n"),
    "after_the_last_chunk": raw(OK, CHUNKED, body=b"0\r\n"),
    "in_a_trailer": raw(OK, CHUNKED, body=b"0\r\nX: y\r\n"),
}
REFUSED: dict[str, bytes] = {
    **{f"status_line-{name}": data for name, data in STATUS_LINES.items()},
    **{f"header-{name}": data for name, data in HEADERS.items()},
    **{f"framing-{name}": data for name, data in FRAMINGS.items()},
    **{f"chunk-{name}": raw(OK, CHUNKED, body=data) for name, data in CHUNKS.items()},
    **{f"cut_off-{name}": data for name, data in CUT_OFF.items()},
}


def small_pieces(data: bytes) -> list[bytes]:
    """Byte by byte; streams that are long on purpose in larger pieces."""
    return bytewise(data) if len(data) < 5000 else split_at(data, range(0, len(data), 499))


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_refused(data: bytes) -> None:
    for pieces in ([data], small_pieces(data)):
        with pytest.raises(FramingError) as caught:
            read(pieces)
        assert str(caught.value)


@pytest.mark.parametrize("name", ["http_1_2", "two_digits", "bare_return", "reason_glued_on"])
def test_the_message_shows_the_line(name: str) -> None:
    with pytest.raises(FramingError) as caught:
        parse_head(STATUS_LINES[name].partition(b"\r\n\r\n")[0])
    assert repr(STATUS_LINES[name][:10])[1:-1] in str(caught.value)


def test_garbage_is_refused_with_its_first_byte() -> None:
    with pytest.raises(FramingError, match=r"not an HTTP/1\.x response: b'h'"):
        ResponseParser().feed(b"h")


def test_an_endless_head_is_refused_before_it_ends() -> None:
    parser = ResponseParser()
    lines = b"X: y\r\n" * 100
    parser.feed(b"HTTP/1.1 200 OK\r\n")
    for _ in range((MAX_HEAD - 20) // len(lines)):
        assert parser.feed(lines) == []
    with pytest.raises(FramingError, match="longer than 65536"):
        parser.feed(lines)


# -- mutations ----------------------------------------------------------------------------------


def mutate(data: bytes, kind: str, at: int, length: int, insert: bytes) -> bytes:
    at = min(at, len(data))
    end = min(len(data), at + length)
    return {
        "replace": data[:at] + insert + data[at + len(insert) :],
        "delete": data[:at] + data[end:],
        "insert": data[:at] + insert + data[at:],
        "repeat": data[:end] + data[at:],
        "flip": data[:at]
        + bytes(byte ^ 1 << length % 8 for byte in data[at : at + 1])
        + data[at + 1 :],
        "cut": data[:at],
    }[kind]


fragments = st.one_of(
    st.binary(min_size=1, max_size=4),
    st.sampled_from(
        [
            b"\r\n",
            b"\r\n\r\n",
            b"\n",
            b"0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"Content-Length: 3\r\n",
        ]
    ),
)
mutations = st.tuples(
    st.sampled_from(["replace", "delete", "insert", "repeat", "flip", "cut"]),
    st.integers(0, 400),
    st.integers(1, 20),
    fragments,
)


@settings(deadline=None, max_examples=160)
@given(
    st.lists(st.sampled_from(list(STREAMS.values())), min_size=1, max_size=2),
    st.lists(mutations, min_size=1, max_size=4),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_mutated_streams_raise_nothing_but_framing_errors(
    streams: list[list[Message]],
    changes: list[tuple[str, int, int, bytes]],
    cuts: Sequence[int],
) -> None:
    """And whether they do, and what they give if not, does not depend on the pieces."""
    data = b"".join(stream_bytes(messages) for messages in streams)
    for change in changes:
        data = mutate(data, *change)
    pieces = split_at(data, [min(cut, len(data)) for cut in cuts])
    assert outcome([data]) == outcome(pieces) == outcome(bytewise(data))


@settings(deadline=None, max_examples=80)
@given(st.binary(max_size=80))
def test_noise_is_refused(noise: bytes) -> None:
    data = b"HTTP/1." + noise
    assert outcome([data]) == outcome(bytewise(data))
    assert outcome([b"\x00" + noise]) is None
