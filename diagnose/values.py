"""`{RAND:min:max}` and `{SEQ:start}`: values that a request gets when a connection is opened.

RAND is drawn evenly from min to max and written with as many digits as max has; SEQ counts up.
Source: the raw request templates of the HttpArena benchmark's load generator.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

_HOLE = re.compile(rb"\{RAND:(\d{1,18}):(\d{1,18})\}|\{SEQ:(\d{1,18})\}")
_WORD = re.compile(rb"\{(?:RAND|SEQ)[^}\r\n]{0,60}\}?")


def has_values(data: bytes) -> bool:
    """There is at least one value to fill in."""
    return _HOLE.search(data) is not None


def has_counter(data: bytes) -> bool:
    """There is a SEQ: the length of what is filled in is not constant."""
    return any(match[3] is not None for match in _HOLE.finditer(data))


def malformed(data: bytes) -> str:
    """The first thing that looks like a value and is none; '' when there is nothing wrong."""
    for match in _WORD.finditer(data):
        whole = _HOLE.match(data, match.start())
        if whole is None or (whole[1] is not None and int(whole[1]) > int(whole[2])):
            return match[0].decode("latin-1")
    return ""


def fill(data: bytes, number: int, draw: Callable[[int, int], int]) -> bytes:
    """The bytes with every value filled in. number: how many connections came before."""

    def value(match: re.Match[bytes]) -> bytes:
        if match[3] is not None:
            return str(int(match[3]) + number).encode()
        return str(draw(int(match[1]), int(match[2]))).zfill(len(match[2])).encode()

    return _HOLE.sub(value, data)


def example(data: bytes) -> bytes:
    """The bytes with the smallest values: what is shown, and sent by a probe."""
    return fill(data, 0, lambda low, _: low)


def drawn(data: bytes, number: int) -> bytes:
    """The bytes with values drawn at random."""
    return fill(data, number, random.randint)
