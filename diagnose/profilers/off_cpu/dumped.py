"""Stacks of a process's threads at a moment, beside where the kernel says that each sleeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from diagnose.model.profile import AT_REST


@dataclass(frozen=True, slots=True)
class Dumped:
    """One thread: its kernel number (0: not told), name, and frames, outermost first.

    holds_lock: it had the interpreter's lock at that moment.
    """

    tid: int
    name: str
    frames: tuple[str, ...]
    holds_lock: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """A dump with the kernel functions in which threads slept just before and just after it."""

    threads: tuple[Dumped, ...]
    before: Mapping[int, str]
    after: Mapping[int, str]

    def asleep(self) -> list[tuple[Dumped, str]]:
        """Threads that slept in the same function on either side of the dump, with its name."""
        return [
            (thread, self.before[thread.tid])
            for thread in self.threads
            if self.before.get(thread.tid) and self.before[thread.tid] == self.after.get(thread.tid)
        ]


def fold_waits(looks: Iterable[Look], at_rest: Iterable[Look]) -> tuple[str, int]:
    """Stacks of sleeping threads by how often they were seen, and the number of looks.

    `thread;frame;...;kernel function count`. A stack that was seen without load as well is marked.
    """
    resting = {(thread.frames, channel) for look in at_rest for thread, channel in look.asleep()}
    totals: Counter[tuple[str, ...]] = Counter()
    number = 0
    for look in looks:
        number += 1
        for thread, channel in look.asleep():
            mark = (AT_REST,) if (thread.frames, channel) in resting else ()
            totals[(thread.name, *mark, *thread.frames, channel)] += 1
    return _folded(totals), number


def fold_holders(looks: Iterable[Look]) -> tuple[str, int]:
    """Stacks of the threads that had the interpreter's lock, and how many looks found one."""
    totals: Counter[tuple[str, ...]] = Counter()
    for look in looks:
        for thread in look.threads:
            if thread.holds_lock:
                totals[(thread.name, *thread.frames)] += 1
    return _folded(totals), totals.total()


def _folded(totals: Mapping[tuple[str, ...], int]) -> str:
    return "".join(
        ";".join(frame.replace(";", ":").replace("\n", " ") for frame in stack) + f" {count}\n"
        for stack, count in totals.items()
    )
