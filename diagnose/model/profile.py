"""Where CPU time went: one model for every profiler."""

from __future__ import annotations

from dataclasses import dataclass

# The second frame of a sleeping thread's stack that stood there without load, too.
AT_REST = "[at rest]"
# A frame of a memory profile: bytes that no function is known to have taken.
OUTSIDE_HEAP = "[buffers outside of V8's heap]"


@dataclass(frozen=True, slots=True)
class ProfileNote:
    """How a profile was taken and what came of it; `file` is its collapsed stacks, or ''.

    remedy: what to do where the profiler may not be used here.
    kind: `on-cpu`; `off-cpu`: where threads slept; `lock`: who had the interpreter's lock;
    `memory`: what was allocated, or held when the process held most.
    unit: of the stacks' weights: samples, us or bytes. seconds: how long was looked.
    remark: what a reader should know of a profile that was taken. errors: samples that were lost.
    truncated: samples whose stack lacks its beginning; None where the profiler does not tell.
    options: with which it looked at other threads than by default.
    """

    profiler: str
    pid: int
    runtime: str
    rate_hz: int
    samples: int
    errors: int
    file: str
    remedy: str = ""
    kind: str = "on-cpu"
    unit: str = "samples"
    seconds: float = 0.0
    remark: str = ""
    truncated: int | None = None
    options: tuple[str, ...] = ()

    @property
    def lost_share(self) -> float | None:
        """Of the samples that should be there; None without any."""
        wanted = self.samples + self.errors
        return self.errors / wanted if wanted else None

    @property
    def truncated_share(self) -> float | None:
        """Of the samples; None where that is not known."""
        if self.truncated is None or not self.samples:
            return None
        return self.truncated / self.samples


@dataclass(frozen=True, slots=True)
class SystemCalls:
    """System calls that a process made in the profiled load, over `seconds`, by name; `all` of
    them, those without a name here too."""

    pid: int
    seconds: float
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Profile:
    """Stacks of one process, outermost frame first, with their weight in samples."""

    note: ProfileNote
    stacks: tuple[tuple[tuple[str, ...], int], ...]

    @property
    def weight(self) -> int:
        """All samples."""
        return sum(count for _, count in self.stacks)

    def hot_leaves(self, limit: int = 8) -> list[tuple[str, float]]:
        """The frames on top of the stack most often, with their share of all samples."""
        totals: dict[str, int] = {}
        for frames, count in self.stacks:
            totals[frames[-1]] = totals.get(frames[-1], 0) + count
        ranked = sorted(totals.items(), key=lambda item: -item[1])[:limit]
        return [(frame, count / self.weight) for frame, count in ranked]
