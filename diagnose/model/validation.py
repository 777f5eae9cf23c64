"""What a check of a server found, with the bytes that went over the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_NO_SLUG = re.compile(r"[^a-z0-9]+")


class Outcome(StrEnum):
    """PASS: right. WARN: not what a careful reader expects, but the contract does not demand it.
    FAIL: a wrong answer. ERROR: no usable answer. SKIPPED: could not be asked."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Bytes of a connection, without their middle where they are long. size: of all of them."""

    start: bytes
    end: bytes
    size: int

    @property
    def left_out(self) -> int:
        """Bytes between start and end."""
        return self.size - len(self.start) - len(self.end)


@dataclass(frozen=True, slots=True)
class Event:
    """Bytes that went one way without a stop. at_s: when the first did, from the beginning."""

    at_s: float
    sent: bool
    excerpt: Excerpt


@dataclass(frozen=True, slots=True)
class Exchange:
    """One connection: what was sent and received on it, in order.

    expected: what should have come, in words. detail: what is wrong, or worth a note.
    """

    port: int
    outcome: Outcome
    detail: str
    expected: str
    events: tuple[Event, ...]
    statuses: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check that was made. endpoint: the path that it asks, '' when it asks none."""

    group: str
    name: str
    endpoint: str
    outcome: Outcome
    detail: str = ""
    elapsed_s: float = 0.0
    exchanges: tuple[Exchange, ...] = ()

    @property
    def id(self) -> str:
        """What the command line calls it."""
        return check_id(self.group, self.name)

    @property
    def failed(self) -> bool:
        """The server does not keep the contract here."""
        return self.outcome in (Outcome.FAIL, Outcome.ERROR)

    @property
    def statuses(self) -> tuple[int, ...]:
        """The statuses of all responses."""
        return tuple(status for each in self.exchanges for status in each.statuses)


def check_id(group: str, name: str) -> str:
    """A check's group and name as one word: `upload/48-random-bytes`."""
    return f"{group}/{_NO_SLUG.sub('-', name.lower()).strip('-')}"
