"""The answer to one question about the host."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """BAD: a measurement here would be spoiled. WARN: it holds less than it seems to. UNKNOWN: this
    host does not tell."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    value: what was seen, in words. why: what it does to a measurement. remedy: the exact command
    that mends it, '' where there is nothing to mend or no command can.
    """

    name: str
    outcome: Outcome
    value: str
    why: str
    remedy: str = ""


def untold(name: str, what: str) -> Check:
    """A check that this host gives no answer to."""
    return Check(name, Outcome.UNKNOWN, "not readable", f"this host does not tell {what}")
