"""Which lines held the memory: allocations that were not given back when a process held most.

Of a JVM it is the classes of the objects: who allocated them is not known. Of a native server it is
the function that touched memory for the first time, allocators and copies left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from diagnose.analysis.frames import Frame, blamed, frame
from diagnose.model.profile import OUTSIDE_HEAP, Profile

# Less is what every server imports and pools.
MIN_BYTES = 2**20
# How a profiler's figure came about.
HOW = {
    "memray": "held",
    "scalene": "allocated",
    "class_histogram": "more live at the height",
    "heap_sampling": "live at the height",
    "page_faults": "first touched",
}
# Their stacks end in a class, and there is no line to blame.
CLASSES = ("class_histogram",)
# Their frames are symbols without a line.
SYMBOLS = ("page_faults",)
# What allocates and copies for another one: C's library and its allocators, Rust's, Go's and
# OCaml's runtimes, the kernel; and what has no name but its library's.
_FOR_ANOTHER = re.compile(
    r"^(?:_*(?:libc_|int_|GI_+)*(?:m|c|re|v|pv|mem|aligned_)alloc(?:_\w+)?$|posix_memalign$|"
    r"sysmalloc|_*mem(?:set|cpy|pcpy|move)\w*$|_*str(?:n?dup|n?cpy)\w*$|_*(?:f|p)?readv?(?:64)?$|"
    r"_*recv(?:from|msg)?$|_*mmap(?:64)?$|sbrk$|je_|mi_|tc_|operator new|std::|alloc::|core::|"
    r"<(?:alloc|core|std)::|hashbrown::|__r(?:ust|dl|g)_|runtime\.|internal/|syscall\.|caml_|\[)"
)


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
        at = _blamed(profile.note.profiler, stack)
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


def _blamed(profiler: str, stack: Sequence[str]) -> Frame | None:
    """Who is to be named for a stack; None where nobody can."""
    if profiler in CLASSES or stack[-1] == OUTSIDE_HEAP:
        return Frame(stack[-1], "", 0)
    if profiler not in SYMBOLS:
        return blamed(stack[1:])
    own = (text for text in reversed(stack[1:]) if not _FOR_ANOTHER.search(text))
    return next((Frame(text, "", 0) for text in own), None)
