"""What `perf script` prints, as collapsed stacks; and how many of them lack their beginning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FIELDS = "comm,tid,ip,sym,dso"
# A symbol may hold parentheses (C++); a module holds none but a final ` (deleted)`.
_FRAME = re.compile(r"^\s+([0-9a-f]+) (.*?)(?:\+0x[0-9a-f]+)? \(([^()]*(?: \(deleted\))?)\)$")
# "perf 17 PERF_RECORD_LOST lost 312": there was no space for so many.
_LOST = re.compile(r"PERF_RECORD_LOST(?:_SAMPLES)? lost (\d+)$", re.MULTILINE)
# Where a stack begins, whatever the thread: the program, a thread of libc, of Go (which changes
# stacks below each goroutine and each call of C), of OCaml's fibers, of the kernel.
_ROOT = re.compile(
    r"_start(_c)?|main|__libc_start.*|start_thread|thread_start|_*clone3?|"
    r"runtime\.(goexit|mstart|mcall|systemstack|rt0_go|asmcgocall|gogo|morestack|sigreturn)\b.*|"
    r"_rt0_.*|caml_(runstack|start_program|main|startup.*)|ret_from_fork.*"
)
# Their functions that start programs and threads are no symbols of a stripped library.
_LIBC = re.compile(r"/(libc[.-]|libpthread[.-]|ld-musl)")
# Addresses of the kernel are the upper half of 64 bits, on x86-64 and arm64.
_KERNEL_DIGITS, _KERNEL_START = 16, "ffff"


@dataclass(frozen=True, slots=True)
class Stacks:
    """Collapsed stacks, thread name first. truncated: samples whose stack does not begin where a
    program or a thread does: what called its outermost function is not known."""

    folded: str
    samples: int
    truncated: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A function on a stack, and the module that has it."""

    address: str
    symbol: str
    module: str

    @property
    def kernel(self) -> bool:
        """Of the kernel."""
        return len(self.address) == _KERNEL_DIGITS and self.address.startswith(_KERNEL_START)

    @property
    def text(self) -> str:
        """The symbol, or `[library.so]` where it has none."""
        name = self.symbol
        if name == "[unknown]":
            name = f"[{Path(self.module.strip('[]')).name}]"
        return name.replace(";", ":")


def arguments(out: Path, fields: str = FIELDS) -> list[str]:
    """The command that prints a recording so that it can be read here."""
    return [
        *("perf", "script", "--no-inline", "--show-lost-events", "--input", str(out)),
        *("--fields", fields),
    ]


def fold(text: str) -> Stacks:
    """perf script's blocks as collapsed stacks."""
    totals: dict[str, int] = {}
    samples = cut = 0
    for head, frames in blocks(text):
        name = head.rsplit(maxsplit=1)[0].replace(";", ":")
        key = ";".join([name, *(frame.text for frame in reversed(frames))])
        totals[key] = totals.get(key, 0) + 1
        samples += 1
        cut += not _rooted(frames)
    folded = "".join(f"{stack} {count}\n" for stack, count in totals.items())
    return Stacks(folded, samples, cut)


def lost(text: str) -> int:
    """Samples for which there was no space."""
    return sum(map(int, _LOST.findall(text)))


def blocks(text: str) -> Iterator[tuple[str, list[Frame]]]:
    """The first line and the frames of each sample, innermost first.

    A block is a line with the thread's name and whatever was asked for, one line a frame with the
    innermost first, and an empty line. Source: perf-script(1).
    """
    head = ""
    frames: list[Frame] = []
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if head and frames:
                yield head, frames
            head, frames = "", []
        elif not line[0].isspace():
            head = line
        elif match := _FRAME.match(line):
            frames.append(Frame(match[1], match[2], match[3]))


def _rooted(frames: list[Frame]) -> bool:
    """The stack begins where a program or a thread begins. frames: innermost first."""
    outermost = frames[-1]
    if _ROOT.fullmatch(outermost.symbol):
        return True
    # A function of libc that was called by the program is inside of it, and not its root.
    return bool(_LIBC.search(outermost.module)) and any(
        not frame.kernel and not _LIBC.search(frame.module) for frame in frames
    )
