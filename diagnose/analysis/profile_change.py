"""What a request costs, function by function, in one run and in another.

A profile has shares; two runs have different numbers of requests. So the share of a function is
multiplied by the CPU seconds that a request cost the server in the measured window: a function that
costs the same stays where it is, although the others grow. Each figure has its sampling error
(binomial); a change counts that is more than twice its error, and worth something.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from diagnose.analysis.figures import figures
from diagnose.model.profile import Profile
from diagnose.model.run import Run

# Standard errors: one of twenty unchanged functions passes by chance.
SURE = 2.0
# Of the whole cost of a request in the base.
WORTH = 0.01
FEWEST_SAMPLES = 50


class Way(StrEnum):
    """What became of a function's cost."""

    APPEARED = "appeared"
    GREW = "grew"
    SHRANK = "shrank"
    GONE = "disappeared"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one function, in CPU seconds per request: what ran in it itself, and the error of that.
    samples: how often it was seen."""

    seconds: float = 0.0
    error: float = 0.0
    samples: int = 0


@dataclass(frozen=True, slots=True)
class FrameChange:
    """A function whose cost changed; in CPU seconds per request."""

    frame: str
    way: Way
    base: Cost
    new: Cost

    @property
    def seconds(self) -> float:
        """new - base."""
        return self.new.seconds - self.base.seconds

    @property
    def error(self) -> float:
        """The standard error of the difference."""
        return math.hypot(self.base.error, self.new.error)


def kinds(profiles: Iterable[Profile]) -> set[tuple[str, str, str, int]]:
    """How profiles were taken: profiler, kind, unit, rate. Others cannot be held against these."""
    return {
        (note.profiler, note.kind, note.unit, note.rate_hz)
        for note in (profile.note for profile in profiles)
    }


def mixed(base: Run, new: Run) -> str:
    """Why the profiles of two runs cannot be compared; '' where they can."""
    for name, run in (("the base", base), ("the new run", new)):
        weight = sum(profile.weight for profile in run.profiles)
        if weight < FEWEST_SAMPLES:
            return f"{name} has {weight} samples of running threads, and {FEWEST_SAMPLES} tell"
        seen = figures(run)
        if not seen.responses or not seen.cpu_cores:
            return f"{name} has no CPU time for each request"
    before, after = kinds(base.profiles), kinds(new.profiles)
    if before != after:
        return f"they were taken in different ways: {_words(before)}; {_words(after)}"
    return ""


def _words(told: set[tuple[str, str, str, int]]) -> str:
    return ", ".join(f"{profiler} {kind} at {rate} Hz" for profiler, kind, _, rate in sorted(told))


def costs(run: Run) -> dict[str, Cost]:
    """What each function costs a request. Of several profilers on one process the first counts:
    they saw the same time."""
    seen = figures(run)
    if not seen.responses or not seen.cpu_cores:
        return {}
    each = seen.cpu_cores * seen.duration_s / seen.responses
    leaves: Counter[str] = Counter()
    done: set[int] = set()
    for profile in run.profiles:
        if profile.note.pid in done:
            continue
        done.add(profile.note.pid)
        for frames, count in profile.stacks:
            leaves[frames[-1]] += count
    total = leaves.total()
    return {
        frame: Cost(
            each * count / total,
            each * math.sqrt(max(count, 1) * max(1 - count / total, 1 / total)) / total,
            count,
        )
        for frame, count in leaves.items()
    }


def changes(base: Run, new: Run) -> list[FrameChange]:
    """The functions whose cost changed, the largest change first; none where `mixed` says why.

    Raises: ValueError with what `mixed` says.
    """
    if why := mixed(base, new):
        raise ValueError(why)
    before, after = costs(base), costs(new)
    whole = sum(cost.seconds for cost in before.values())
    least = _unseen(before), _unseen(after)
    found = []
    for frame in before.keys() | after.keys():
        one = before.get(frame, Cost(error=least[0]))
        two = after.get(frame, Cost(error=least[1]))
        change = FrameChange(frame, _way(one, two), one, two)
        if abs(change.seconds) > SURE * change.error and abs(change.seconds) >= WORTH * whole:
            found.append(change)
    return sorted(found, key=lambda change: (-abs(change.seconds), change.frame))


def _unseen(told: dict[str, Cost]) -> float:
    """The error of a function that was never seen: that of one sample."""
    samples = sum(cost.samples for cost in told.values())
    return sum(cost.seconds for cost in told.values()) / samples if samples else 0.0


def _way(base: Cost, new: Cost) -> Way:
    if not base.samples:
        return Way.APPEARED
    if not new.samples:
        return Way.GONE
    return Way.GREW if new.seconds > base.seconds else Way.SHRANK
