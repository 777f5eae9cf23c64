"""Which coding a client gets, and that what it gets is what it would have got without."""

from __future__ import annotations

import gzip
import random

import brotli
import pytest

from reference_server.compression import (
    BROTLI,
    GZIP,
    IDENTITY,
    QUICKEST_FIRST,
    choose_coding,
    compress,
    compressed_response,
)
from reference_server.messages import JSON, Body, Request, not_found
from reference_server.static_files import SMALLEST_FIRST


def request(*accept: bytes) -> Request:
    headers = [(b"Accept-Encoding", value) for value in accept]
    return Request(b"GET", b"", b"", headers, Body(), not_found)


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (b"", IDENTITY),
        (b"gzip", GZIP),
        (b"GZip", GZIP),
        (b"br", BROTLI),
        (b"gzip, br", GZIP),
        (b"br,gzip", GZIP),
        (b"gzip;q=0.5, br", BROTLI),
        (b"gzip;q=0.5, br;q=0.501", BROTLI),
        (b"gzip ; q=0.2,br; q=0.1", GZIP),
        (b"gzip;Q=0.2, br;q=0.3", BROTLI),
        (b"gzip;q=0", IDENTITY),
        (b"gzip;q=0.000, br;q=0", IDENTITY),
        (b"gzip;q=0, br", BROTLI),
        (b"*", GZIP),
        (b"gzip;q=0, *", BROTLI),
        (b"*;q=0", IDENTITY),
        (b"*;q=0, br;q=0.1", BROTLI),
        (b"identity", IDENTITY),
        (b"identity, gzip;q=0.5", IDENTITY),
        (b"identity;q=0.5, gzip", GZIP),
        (b"identity;q=0", IDENTITY),
        (b"deflate, zstd", IDENTITY),
        (b"gzip;q=2", IDENTITY),
        (b"gzip;q=", IDENTITY),
        (b"gzip;q=-1", IDENTITY),
        (b"gzip;q=0.1234", IDENTITY),
        (b"gzip;level=1", IDENTITY),
        (b"xgzip", IDENTITY),
        (b",, gzip ,", GZIP),
        (b"\xff\x00;;;q=q", IDENTITY),
    ],
)
def test_coding_with_the_highest_weight_is_chosen(accept: bytes, coding: bytes) -> None:
    assert choose_coding(accept, QUICKEST_FIRST) == coding


def test_order_of_the_offer_decides_between_equals() -> None:
    assert choose_coding(b"gzip, br", SMALLEST_FIRST) == BROTLI
    assert choose_coding(b"gzip, br", (GZIP,)) == GZIP
    assert choose_coding(b"gzip, br", ()) == IDENTITY


@pytest.mark.parametrize("size", [0, 1, 1_000, 200_000])
def test_compressed_content_is_the_content(size: int) -> None:
    content = random.Random(size).randbytes(size // 2) + b"a" * (size - size // 2)
    assert gzip.decompress(compress(content, GZIP)) == content
    assert brotli.decompress(compress(content, BROTLI)) == content


def test_gzip_is_at_its_fastest_level() -> None:
    # RFC 1952, 2.3.1: XFL = 4 means that the compressor used its fastest algorithm.
    assert compress(b"x" * 100, GZIP)[:3] == b"\x1f\x8b\x08"


def test_response_is_coded_only_when_asked_for() -> None:
    plain = compressed_response(request(), b"x" * 500, JSON)
    assert plain.body == b"x" * 500
    assert plain.headers == ((b"Vary", b"Accept-Encoding"),)
    coded = compressed_response(request(b"br;q=0.5, gzip;q=0.6"), b"x" * 500, JSON)
    assert gzip.decompress(coded.body) == b"x" * 500
    assert set(coded.headers) == {(b"Content-Encoding", b"gzip"), (b"Vary", b"Accept-Encoding")}
    assert coded.content_type == JSON


def test_header_is_found_in_any_case() -> None:
    asked = Request(b"GET", b"", b"", [(b"ACCEPT-encoding", b"br")], Body(), not_found)
    assert (b"Content-Encoding", b"br") in compressed_response(asked, b"x", JSON).headers
