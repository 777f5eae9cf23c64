"""Which lines held the memory: allocations that were not given back when a process held most.

Of a JVM it is the classes of the objects: who allocated them is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from diagnose.analysis.frames import Frame, blamed, frame
from diagnose.model.profile import Profile

# Less is what every server imports and pools.
MIN_BYTES = 2**20
# How a profiler's figure came about.
HOW = {
    "memray": "held",
    "scalene": "allocated",
    "class_histogram": "more live at the height",
}
# Their stacks end in a class, and there is no line to blame.
CLASSES = ("class_histogram",)


@dataclass(frozen=True, slots=True)
class HeldLine:
    """A line with the bytes that were allocated in it, or in what it called; or a class.

    share: of the process's profile. inner: the innermost frame where it is another one.
    """

    at: Frame
    inner: str
    bytes: int
    share: float
    how: str
    pid: int
    source: str

    @property
    def said(self) -> str:
        """`held at app (app.py:28)`."""
        return f"{self.how} at {self.at.short}" if self.at.line else f"{self.how}: {self.at.short}"


def held_lines(profiles: Iterable[Profile], limit: int = 8) -> list[HeldLine]:
    """The lines that held most, over the process that held most; a megabyte at the least."""
    memory = [profile for profile in profiles if profile.note.kind == "memory" and profile.stacks]
    if not memory:
        return []
    profile = max(memory, key=lambda one: one.weight)
    totals: dict[tuple[Frame, str], int] = {}
    for stack, count in profile.stacks:
        at = frame(stack[-1]) if profile.note.profiler in CLASSES else blamed(stack[1:])
        if at is None:
            continue
        inner = frame(stack[-1])
        key = (at, "" if inner == at else inner.short)
        totals[key] = totals.get(key, 0) + count
    ranked = sorted(totals.items(), key=lambda item: -item[1])[:limit]
    note = profile.note
    return [
        HeldLine(at, inner, count, count / profile.weight, HOW.get(note.profiler, "held"),
                 note.pid, f"profiles/{note.file}")
        for (at, inner), count in ranked
        if count >= MIN_BYTES
    ]  # fmt: skip
