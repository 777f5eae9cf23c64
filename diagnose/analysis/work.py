"""How the CPU time of a profiled server is shared among kinds of work, and who asked for it.

A share is inclusive: all samples with a frame of that kind anywhere on the stack. So a logger that
writes counts as logging and as writing, and shares do not add up to one. What two profilers see of
one process differs (py-spy sees no C, perf no Python): the larger share is nearer to the truth,
because neither invents frames.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

from diagnose.model.profile import Profile
from diagnose.model.run import Run

# Fewer samples than this make no share: 10 % of 60 are 6 +- 2.4.
MIN_SAMPLES = 60
# The profiler that names functions of the interpreter, its libraries and the kernel.
NATIVE = "perf"
NO_PROFILE = "no profile was taken"
TABLES = "diagnose.analysis.categories"
# perf writes a frame without a symbol as its library in brackets.
_NAMELESS = re.compile(r"^\[[^\]]*\]$")


@dataclass(frozen=True, slots=True)
class Share:
    """One kind of work. share: of the CPU time that was profiled (0 to 1). frame: its most
    frequent function; caller: who called into it most often, '' where the stack does not tell.
    source: the files of the run directory, by profiler."""

    share: float
    frame: str
    caller: str
    source: str


@dataclass(frozen=True, slots=True)
class Work:
    """What the profiles of a run say. shares: by kind of work, those without a sample left out.

    names: for each profiler with enough samples, the share of them whose innermost frame has a
    name: what has none may be any kind of work.
    """

    shares: Mapping[str, Share]
    names: Mapping[str, float]

    @property
    def named(self) -> float:
        """The share of samples with a name, in the profiler that knows most."""
        return max(self.names.values(), default=0.0)

    @property
    def native(self) -> float:
        """The same for native code: collectors, unwinders and compressors have names there only."""
        return self.names.get(NATIVE, 0.0)

    def share(self, *kinds: str) -> float:
        """The largest share of these kinds; 0 without samples of them."""
        return max((self.shares[kind].share for kind in kinds if kind in self.shares), default=0.0)

    def largest(self, *kinds: str) -> Share | None:
        """The kind with the largest share; None where none has samples."""
        known = [self.shares[kind] for kind in kinds if kind in self.shares]
        return max(known, key=lambda share: share.share, default=None)


@cache
def tables() -> Mapping[str, re.Pattern[str]]:
    """Kind of work -> the frames that belong to it."""
    return _tables("frames")


@cache
def thread_tables() -> Mapping[str, re.Pattern[str]]:
    """Kind of work -> names of threads that do nothing else."""
    return _tables("threads")


def _tables(key: str) -> Mapping[str, re.Pattern[str]]:
    patterns: dict[str, list[str]] = {}
    for file in sorted(resources.files(TABLES).iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            for kind, table in tomllib.loads(file.read_text(encoding="utf-8")).items():
                patterns.setdefault(kind, []).extend(table.get(key, ()))
    return {
        kind: re.compile("|".join(f"(?:{one})" for one in found))
        for kind, found in patterns.items()
        if found
    }


@lru_cache(maxsize=65536)
def kinds_of(frame: str) -> frozenset[str]:
    """The kinds of work that a frame belongs to."""
    return frozenset(kind for kind, pattern in tables().items() if pattern.search(frame))


def is_of_thread(name: str, kind: str) -> bool:
    """A thread of this name does nothing but that kind of work."""
    pattern = thread_tables().get(kind)
    return pattern is not None and pattern.search(name) is not None


def work(run: Run) -> Work | None:
    """What the profiles say; None where none of them has enough samples."""
    return _work(run.profiles)


@lru_cache(maxsize=8)
def _work(every: tuple[Profile, ...]) -> Work | None:
    by_profiler: dict[str, list[Profile]] = {}
    for profile in every:
        by_profiler.setdefault(profile.note.profiler, []).append(profile)
    shares: dict[str, Share] = {}
    names: dict[str, float] = {}
    for profiler, profiles in sorted(by_profiler.items()):
        weight = sum(profile.weight for profile in profiles)
        if weight < MIN_SAMPLES:
            continue
        names[profiler] = _named(profiles) / weight
        for kind, share in _shares(profiles, weight, profiler).items():
            if kind not in shares or share.share > shares[kind].share:
                shares[kind] = share
    return Work(shares, names) if names else None


def _shares(profiles: Iterable[Profile], weight: int, profiler: str) -> dict[str, Share]:
    counts: Counter[str] = Counter()
    frames: dict[str, Counter[str]] = {}
    callers: dict[str, Counter[str]] = {}
    for profile in profiles:
        for stack, count in profile.stacks:
            seen: set[str] = set()
            for place, frame in enumerate(stack):
                for kind in kinds_of(frame) - seen:
                    # The outermost frame of the kind: the one before it asked for the work.
                    seen.add(kind)
                    caller = stack[place - 1] if place > 1 else ""
                    callers.setdefault(kind, Counter())[caller] += count
                    frames.setdefault(kind, Counter())[frame] += count
            for kind in seen:
                counts[kind] += count
    return {
        kind: Share(
            count / weight,
            frames[kind].most_common(1)[0][0],
            callers[kind].most_common(1)[0][0],
            f"profiles/{profiler}-*",
        )
        for kind, count in counts.items()
    }


def _named(profiles: Iterable[Profile]) -> float:
    """Samples whose innermost frame has a name."""
    return sum(
        count
        for profile in profiles
        for stack, count in profile.stacks
        if not _NAMELESS.match(stack[-1])
    )


def short(frame: str) -> str:
    """A frame as a sentence names it: of a path its last two parts."""
    name, bracket, place = frame.partition(" (")
    if not bracket:
        return frame
    return f"{name} ({'/'.join(place.rsplit('/', 2)[-2:])}"
