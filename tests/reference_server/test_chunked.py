"""Chunked bodies in pieces of every size, and what is none; httptools is the other opinion."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_server.chunked import MAX_LINE_BYTES, MAX_TRAILER_BYTES, ChunkedDecoder, only_chunk
from reference_server.messages import HttpError

BODY = b"2\r\n20\r\nA;name=value\r\n0123456789\r\n0\r\n\r\n"


def decode(data: bytes, size: int) -> tuple[bytes, bool, bytes]:
    """Content, whether the end was seen, and what was left over."""
    content: list[bytes] = []
    decoder = ChunkedDecoder(content.append)
    rest = b""
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        if decoder.done:
            rest += piece
            continue
        rest += piece[decoder.decode(piece, 0) :]
    return b"".join(content), decoder.done, rest


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_pieces_of_any_size_are_the_same_body(size: int) -> None:
    assert decode(BODY + b"GET /", size) == (b"200123456789", True, b"GET /")
    assert decode(b"0\r\nTrailer: x\r\n\r\n", size) == (b"", True, b"")
    assert decode(BODY[:-1], size)[1] is False


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"x\r\n",
        b"-2\r\n20\r\n",
        b"0x2\r\n20\r\n",
        b"2 \r\n20\r\n",
        b"2\n20\n0\n\n",
        b"2\r\n20XX0\r\n\r\n",
        b"2\r\n200\r\n\r\n",
        b"1234567890123456\r\n",
        b"2;" + b"x" * MAX_LINE_BYTES,
        b"0\r\nname: x\n\r\n",
        b"0\r\n" + b"name: value\r\n" * MAX_TRAILER_BYTES,
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_what_is_no_chunked_body_is_refused(data: bytes, size: int) -> None:
    with pytest.raises(HttpError):
        decode(data, size)


def test_a_body_of_one_chunk_is_taken_at_once() -> None:
    assert only_chunk(b"..2\r\n20\r\n0\r\n\r\nGET", 2) == (b"20", 14)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"2\r\n20\r\n",
        b"0\r\n\r\n",
        b"1\r\n2\r\n1\r\n0\r\n0\r\n\r\n",
        b"2\r\n20\r\n0\r\nX: y\r\n",
    ],
)
def test_every_other_body_is_left_to_the_decoder(data: bytes) -> None:
    assert only_chunk(data, 0)[1] == 0


class Collected:
    """What httptools makes of the same body."""

    def __init__(self) -> None:
        self.content = b""
        self.done = False

    def on_body(self, piece: bytes) -> None:
        self.content += piece

    def on_message_complete(self) -> None:
        self.done = True


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 60))
def test_both_decoders_agree(chunks: list[bytes], size: int) -> None:
    data = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks) + b"0\r\n\r\n"
    other = Collected()
    parser = httptools.HttpRequestParser(other)
    parser.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    content, done, rest = decode(data, size)
    assert (content, done, rest) == (other.content, other.done, b"")
    assert content == b"".join(chunks)
