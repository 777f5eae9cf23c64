"""What every profiler gives back."""

from __future__ import annotations

from dataclasses import dataclass

# Fewer samples say nothing about where time goes: a share of 10 % of 40 samples is 4 +- 2.
MIN_SAMPLES = 40


@dataclass(frozen=True, slots=True)
class Threads:
    """Of a process under load: all of them, those that ran, the cores that they used together, and
    those that they wanted (used, or waited for)."""

    all: int
    ran: int
    used: float
    wanted: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How often a profiler looks, with which options, and why not as it does by default."""

    hz: int
    options: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Collected:
    """Collapsed stacks (one `frame;frame count` a line) with samples and errors of the profiler.

    errors: samples that were lost. truncated: samples whose stack lacks its beginning; None where
    the profiler does not tell. remedy: what to do when it did not work; then there are no stacks.
    remark: what a reader should know of a profile that was taken.
    """

    folded: str
    samples: int
    errors: int
    remedy: str = ""
    remark: str = ""
    truncated: int | None = None
