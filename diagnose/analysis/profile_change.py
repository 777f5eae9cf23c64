"""What a request costs, function by function, in one run and in another.

A profile has shares; two runs have different numbers of requests. So the share of a function is
multiplied by the CPU seconds that a request cost the server in the measured window: a function that
costs the same stays where it is, although the others grow. Each figure has its sampling error
(binomial); a change counts that is more than twice its error, and worth something.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
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
# How py-spy and perf name threads without a name.
_NUMBERED = re.compile(r"^(?:thread \(|PID \d)")


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
    """How profiles were taken: profiler with its options, kind, unit, rate. Others cannot be held
    against these."""
    return {
        (" ".join((note.profiler, *note.options)), note.kind, note.unit, note.rate_hz)
        for note in (profile.note for profile in profiles)
    }


def counted(run: Run) -> list[Profile]:
    """Of several profilers on one process the first: they saw the same time."""
    first: dict[int, Profile] = {}
    for profile in run.profiles:
        first.setdefault(profile.note.pid, profile)
    return list(first.values())


def different_ways(base: Run, new: Run) -> str:
    """How the profiles of two runs were taken, where that is not alike; '' where it is."""
    before, after = kinds(counted(base)), kinds(counted(new))
    return "" if before == after else f"{_words(before)}; {_words(after)}"


def mixed(base: Run, new: Run, anyway: bool = False) -> str:
    """Why the profiles of two runs cannot be compared; '' where they can.

    anyway: although they were taken in different ways.
    """
    for name, run in (("the base", base), ("the new run", new)):
        weight = sum(profile.weight for profile in run.profiles)
        if weight < FEWEST_SAMPLES:
            return f"{name} has {weight} samples of running threads, and {FEWEST_SAMPLES} tell"
        seen = figures(run)
        if not seen.responses or not seen.cpu_cores:
            return f"{name} has no CPU time for each request"
    if not anyway and (ways := different_ways(base, new)):
        return f"they were taken in different ways: {ways}; --mixed compares them anyway"
    return ""


def _words(told: set[tuple[str, str, str, int]]) -> str:
    return ", ".join(f"{profiler} {kind} at {rate} Hz" for profiler, kind, _, rate in sorted(told))


def sampled(run: Run) -> tuple[float, Counter[tuple[str, ...]]]:
    """The CPU seconds of a request that one sample stands for, and the samples by stack; nothing
    where that cannot be told."""
    seen = figures(run)
    stacks: Counter[tuple[str, ...]] = Counter()
    for profile in counted(run):
        for frames, count in profile.stacks:
            stacks[frames] += count
    if not seen.responses or not seen.cpu_cores or not stacks:
        return 0.0, Counter()
    return seen.cpu_cores * seen.duration_s / seen.responses / stacks.total(), stacks


def costs(run: Run) -> dict[str, Cost]:
    """What each function costs a request."""
    each, stacks = sampled(run)
    leaves: Counter[str] = Counter()
    for frames, count in stacks.items():
        leaves[frames[-1]] += count
    total = leaves.total()
    return {
        frame: Cost(
            each * count,
            each * math.sqrt(max(count, 1) * max(1 - count / total, 1 / total)),
            count,
        )
        for frame, count in leaves.items()
    }


@dataclass(frozen=True, slots=True)
class StackCost:
    """What a request spent in a stack before and now, in CPU seconds."""

    frames: tuple[str, ...]
    before: float
    now: float


def stack_costs(base: Run, new: Run) -> tuple[StackCost, ...]:
    """Every stack of either run, the most expensive first; none where `mixed` says why."""
    if mixed(base, new):
        return ()
    sides = [_by_stack(run) for run in (base, new)]
    every = dict.fromkeys((*sides[0], *sides[1]))
    told = [StackCost(frames, sides[0][frames], sides[1][frames]) for frames in every]
    return tuple(sorted(told, key=lambda one: -max(one.before, one.now)))


def _by_stack(run: Run) -> defaultdict[tuple[str, ...], float]:
    each, stacks = sampled(run)
    costs: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for frames, count in stacks.items():
        costs[_anonymous(frames)] += each * count
    return costs


def _anonymous(frames: tuple[str, ...]) -> tuple[str, ...]:
    """Without a thread's address or process number, which are others in every run."""
    return frames[1:] if len(frames) > 1 and _NUMBERED.match(frames[0]) else frames


def changes(base: Run, new: Run, anyway: bool = False) -> list[FrameChange]:
    """The functions whose cost changed, the largest change first.

    Raises: ValueError with what `mixed` says.
    """
    if why := mixed(base, new, anyway):
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
