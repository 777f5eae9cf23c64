"""The level at which a body was compressed, found again by compressing it at all of them."""

from __future__ import annotations

import gzip
import json
import random
import zlib

import brotli
import pytest

from diagnose.load.coded import MOST_BROTLI, MOST_ZLIB, coding_of, matches
from diagnose.load.http1 import Head, Response
from diagnose.model.run import Coding

DICE = random.Random(7)
# As the benchmark's JSON: words from a small set, and numbers.
PLAIN = json.dumps(
    [
        {"id": n, "name": DICE.choice(["alpha", "beta", "gamma"]) * 2, "price": DICE.random()}
        for n in range(400)
    ]
).encode()


def answer(body: bytes | None, encoding: str) -> Response:
    length = 0 if body is None else len(body)
    head = Head(200, length, False, False, "application/json", encoding)
    return Response(head, body, length)


def gzipped(level: int, plain: bytes = PLAIN) -> bytes:
    encoder = zlib.compressobj(level, zlib.DEFLATED, 31)
    return encoder.compress(plain) + encoder.flush()


def found(body: bytes, encoding: str = "gzip") -> Coding:
    coding = coding_of(answer(body, encoding))
    assert coding is not None
    return coding


@pytest.mark.parametrize("level", range(1, 10))
def test_the_level_of_zlib_is_found_exactly(level: int) -> None:
    coding = found(gzipped(level))
    assert coding.exact
    assert coding.lowest <= level <= coding.highest
    assert (coding.bytes, coding.plain_bytes) == (len(gzipped(level)), len(PLAIN))


@pytest.mark.parametrize(("level", "mark"), [(1, "fastest"), (6, ""), (9, "best")])
def test_the_mark_in_the_head_of_a_gzip_body(level: int, mark: str) -> None:
    assert found(gzipped(level)).mark == mark


def test_pythons_gzip_module_is_found_too() -> None:
    coding = found(gzip.compress(PLAIN, compresslevel=9))
    assert coding.exact
    assert coding.highest == 9
    assert coding.mark == "best"


def test_a_deflate_body_is_a_zlib_stream() -> None:
    coding = found(zlib.compress(PLAIN, 9), "deflate")
    assert (coding.exact, coding.highest, coding.mark) == (True, 9, "")


@pytest.mark.parametrize("quality", [1, 5, 11])
def test_the_quality_of_brotli_is_found(quality: int) -> None:
    coding = found(brotli.compress(PLAIN[:8000], quality=quality), "br")
    assert coding.exact
    assert coding.lowest <= quality <= coding.highest


def test_a_quick_level_is_beside_it() -> None:
    coding = found(gzipped(9))
    assert coding.quick_bytes == pytest.approx(len(gzipped(1)), abs=2)
    assert coding.seconds > 0
    assert coding.quick_seconds > 0


def test_a_stream_with_flushes_is_near_a_level() -> None:
    encoder = zlib.compressobj(9, zlib.DEFLATED, 31)
    half = len(PLAIN) // 2
    body = encoder.compress(PLAIN[:half]) + encoder.flush(zlib.Z_SYNC_FLUSH)
    body += encoder.compress(PLAIN[half:]) + encoder.flush()
    coding = found(body)
    assert not coding.exact
    assert coding.highest >= 6


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        pytest.param(PLAIN, "", id="not compressed"),
        pytest.param(None, "gzip", id="too long to keep"),
        pytest.param(gzipped(1)[:-9], "gzip", id="cut off"),
        pytest.param(b"nonsense", "gzip", id="no gzip"),
        pytest.param(gzipped(1, b""), "gzip", id="of nothing"),
        pytest.param(PLAIN, "zstd", id="another coding"),
    ],
)
def test_what_cannot_be_decoded_has_no_coding(body: bytes | None, encoding: str) -> None:
    assert coding_of(answer(body, encoding)) is None


def test_a_long_body_is_not_tried() -> None:
    plain = bytes(MOST_ZLIB + 1)
    coding = found(gzipped(9, plain))
    assert (coding.lowest, coding.mark, coding.plain_bytes) == (-1, "best", len(plain))
    coding = found(brotli.compress(bytes(MOST_BROTLI + 1), quality=1), "br")
    assert coding.lowest == -1


MADE = {1: b"x" * 1000, 2: b"x" * 900, 3: b"x" * 899, 4: b"x" * 800}


@pytest.mark.parametrize(
    ("length", "levels"),
    [
        pytest.param(1000, [1], id="as long"),
        pytest.param(903, [2, 3], id="as long within half a percent"),
        pytest.param(850, [3, 4], id="between two"),
        pytest.param(1200, [1, 1], id="longer than all"),
        pytest.param(700, [4, 4], id="shorter than all"),
    ],
)
def test_another_encoder_is_placed_by_its_length(length: int, levels: list[int]) -> None:
    assert matches(b"y" * length, MADE) == (levels, False)


def test_several_levels_may_make_the_same() -> None:
    assert matches(b"x" * 900, {1: b"y" * 900, 2: b"x" * 900, 3: b"x" * 900}) == ([2, 3], True)
