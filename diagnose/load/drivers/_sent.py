"""The requests of a scenario as a driver gets them: which of them, and as which bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from diagnose import values
from diagnose.load.requests import PreparedRequest, prepare
from diagnose.model.scenario import RequestTemplate, Scenario

# A driver that cannot draw values gets so many requests with values drawn beforehand, in rotation:
# more than a cache of the last few answers would hold.
DRAWN = 64
# ... and fewer where requests are long.
MAX_DRAWN_BYTES = 16 * 1024 * 1024
# For lengths only: no port is longer.
_ANY_AUTHORITY = "127.0.0.1:65535"


class Rotation(StrEnum):
    """What may differ from one request of a driver to the next."""

    NOTHING = "nothing"
    TARGET = "target"
    EVERYTHING = "everything"


def sent(scenario: Scenario, rotation: Rotation) -> tuple[RequestTemplate, ...]:
    """The templates that a driver sends: all of them, or the first where it cannot rotate them."""
    first, *others = scenario.templates
    if rotation is Rotation.EVERYTHING:
        return scenario.templates
    if rotation is Rotation.TARGET and all(_same_but_target(first, one) for one in others):
        return scenario.templates
    return (first,)


def _same_but_target(one: RequestTemplate, other: RequestTemplate) -> bool:
    return one.raw is None and one == replace(
        other, name=one.name, target=one.target, expect=one.expect
    )


def has_values(template: RequestTemplate) -> bool:
    """It has a `{RAND:min:max}` or `{SEQ:start}` somewhere."""
    return prepare(template, _ANY_AUTHORITY).varies


def has_values_beside_target(template: RequestTemplate) -> bool:
    """It has one in its headers, body or raw bytes."""
    return has_values(replace(template, target="/"))


def wire_length(template: RequestTemplate) -> int:
    """Bytes of a request, some more or less for the authority."""
    return sum(len(piece) for piece in wire(prepare(template, _ANY_AUTHORITY)))


def wire(prepared: PreparedRequest) -> Iterator[bytes]:
    """The bytes of a request in pieces, values as they were written."""
    yield prepared.head
    if prepared.payload is not None:
        yield from _repeated(prepared.payload.unit, prepared.payload.length)
        yield prepared.payload.tail


def drawn_wires(template: RequestTemplate, authority: str) -> Iterator[Iterator[bytes]]:
    """The bytes of a request, once, or so many times with values that differ.

    They are the same in each run.
    """
    prepared = prepare(template, authority)
    if not prepared.varies:
        yield wire(prepared)
        return
    for number in range(max(1, min(DRAWN, MAX_DRAWN_BYTES // wire_length(template)))):
        draw = random.Random(number).randint
        yield wire(replace(prepared, head=values.fill(prepared.head, number, draw)))


def drawn_targets(template: RequestTemplate) -> list[str]:
    """The target, once, or so many times with values that differ."""
    target = template.target.encode("latin-1")
    if not values.has_values(target):
        return [template.target]
    return [
        values.fill(target, number, random.Random(number).randint).decode("latin-1")
        for number in range(DRAWN)
    ]


def body(template: RequestTemplate) -> Iterator[bytes]:
    """The request body without transfer coding, in pieces."""
    plain = prepare(replace(template, chunked=False, raw=None), _ANY_AUTHORITY)
    first, *others = wire(plain)
    yield first.partition(b"\r\n\r\n")[2]
    yield from others


def write(path: Path, pieces: Iterator[bytes]) -> Path:
    """Write the pieces to a file; its path."""
    with path.open("wb") as file:
        file.writelines(pieces)
    return path


def _repeated(unit: bytes, length: int) -> Iterator[bytes]:
    whole, rest = divmod(length, max(1, len(unit)))
    for _ in range(whole):
        yield unit
    yield unit[:rest]
