"""Times and sizes as drivers print them: `133.17ms`, `9.46MB`."""

from __future__ import annotations

import re

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

# Longer ones no driver prints, and they are no numbers that can be counted with.
COUNT = r"\d{1,18}"
_NUMBER = r"\d{1,12}(?:\.\d{1,9})?"
TIME = rf"{_NUMBER}(?:us|ms|s|m|h)"
SIZE = rf"{_NUMBER}[KMGT]?B"
_TIME = re.compile(rf"({_NUMBER})(us|ms|s|m|h)")
_SIZE = re.compile(rf"({_NUMBER})([KMGT]?)B")


def seconds(text: str) -> float:
    """Seconds from a number with us, ms, s, m or h.

    Raises: ValueError.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"no time: {text!r}")
    return float(match[1]) * _SECONDS[match[2]]


def size(text: str) -> int:
    """Bytes from a number with K, M, G or T, powers of 1024 as wrk and h2load mean them.

    Raises: ValueError.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"no size: {text!r}")
    return round(float(match[1]) * _BYTES[match[2]])
