"""At which level the body of an answer was compressed: the usual encoders are tried on it.

A level cannot be read from a compressed body, but it can be found again: zlib and brotli give the
same bytes for the same level, and other encoders come near to them in length.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence

import brotli

from diagnose.load.check import decoded
from diagnose.load.http1 import Response
from diagnose.model.run import Coding

# Trying all levels of zlib on 1 MiB takes 0.2 s, those of brotli ten times as long.
MOST_ZLIB, MOST_BROTLI = 2 * 1024 * 1024, 64 * 1024
ZLIB_LEVELS = range(1, 10)
BROTLI_LEVELS = range(12)
QUICK_ZLIB, QUICK_BROTLI = 1, 3
# Levels next to each other differ by 1 to 5 % where they differ at all.
ALIKE = 0.005
# Short bodies compress in microseconds: the best of some tries is the one without interruption.
TRIES, TRIES_BELOW = 5, 64 * 1024
_RAW = -zlib.MAX_WBITS
_HEAD, _TRAILER = 10, 8
_MARKS = {2: "best", 4: "fastest"}
_Compress = Callable[[bytes, int], bytes]


def coding_of(response: Response) -> Coding | None:
    """How a body was compressed; None where it was not, or cannot be decoded."""
    name = response.head.content_encoding
    body = response.body
    if body is None or name not in ("gzip", "x-gzip", "deflate", "br"):
        return None
    plain = decoded(response)
    if not plain:
        return None
    if name == "br":
        if len(plain) > MOST_BROTLI:
            return Coding(name, len(body), len(plain))
        return _tried(name, body, plain, body, _brotlied, BROTLI_LEVELS, QUICK_BROTLI)
    if len(plain) > MOST_ZLIB:
        return Coding(name, len(body), len(plain), mark=_mark(name, body))
    return _tried(name, body, plain, _stream(name, body), _deflated, ZLIB_LEVELS, QUICK_ZLIB)


def _tried(
    name: str,
    body: bytes,
    plain: bytes,
    stream: bytes,
    compress: _Compress,
    levels: Sequence[int],
    quick: int,
) -> Coding:
    made = {level: compress(plain, level) for level in levels}
    alike, exact = matches(stream, made)
    return Coding(
        name=name,
        bytes=len(body),
        plain_bytes=len(plain),
        lowest=alike[0],
        highest=alike[-1],
        exact=exact,
        mark=_mark(name, body),
        seconds=_seconds(compress, plain, alike[0]),
        quick_bytes=len(body) - len(stream) + len(made[quick]),
        quick_seconds=_seconds(compress, plain, quick),
    )


def matches(stream: bytes, made: dict[int, bytes]) -> tuple[list[int], bool]:
    """The levels that a stream may have been made at, lowest first, and whether these made the
    very same bytes. made: what each level makes of the same input, lowest first."""
    same = [level for level, each in made.items() if each == stream]
    if same:
        return same, True
    near = [
        level for level, each in made.items() if abs(len(each) - len(stream)) <= ALIKE * len(stream)
    ]
    if near:
        return near, False
    # Another encoder: between the last level that is worse and the first one that is better.
    longer = [level for level, each in made.items() if len(each) > len(stream)]
    shorter = [level for level, each in made.items() if len(each) < len(stream)]
    levels = list(made)
    return [max(longer, default=levels[0]), min(shorter, default=levels[-1])], False


def _stream(name: str, body: bytes) -> bytes:
    """The deflate stream alone, where its wrapper has the plain form; else all of it."""
    if name == "deflate":
        return body[2:-4]
    # RFC 1952, 2.3: no name, comment or extra field when the flags are 0.
    return body[_HEAD:-_TRAILER] if len(body) > _HEAD + _TRAILER and body[3] == 0 else body


def _mark(name: str, body: bytes) -> str:
    return "" if name in ("deflate", "br") else _MARKS.get(body[8], "")


def _deflated(plain: bytes, level: int) -> bytes:
    encoder = zlib.compressobj(level, zlib.DEFLATED, _RAW)
    return encoder.compress(plain) + encoder.flush()


def _brotlied(plain: bytes, level: int) -> bytes:
    made: bytes = brotli.compress(plain, quality=level)
    return made


def _seconds(compress: _Compress, plain: bytes, level: int) -> float:
    """CPU time of one compression."""
    best = float("inf")
    for _ in range(TRIES if len(plain) < TRIES_BELOW else 1):
        began = time.thread_time()
        compress(plain, level)
        best = min(best, time.thread_time() - began)
    return best
