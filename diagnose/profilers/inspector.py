"""Node by its inspector: V8's own CPU profile, with the names of JavaScript functions.

It works on any running node, started by us or not: SIGUSR1 opens the inspector on 127.0.0.1:9229,
and it is closed again afterwards. Worker threads are profiled as well, under their names.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import msgspec

from diagnose.profilers import _told
from diagnose.profilers._collected import MIN_SAMPLES, Collected

RUNTIMES = ("node",)
RATE_HZ = 99
# What V8 gives a sample without a JavaScript function: not a stack, or one without a name.
IDLE, PROGRAM = "(idle)", "(program)"
THREAD = "node"


class CallFrame(msgspec.Struct, frozen=True):
    """lineNumber: of the function's first line, from 0."""

    functionName: str = ""
    url: str = ""
    lineNumber: int = -1


class PositionTick(msgspec.Struct, frozen=True):
    """Samples at a line, from 1."""

    line: int
    ticks: int


class Node(msgspec.Struct, frozen=True):
    """A function below its callers; hitCount: samples that ended in it, positionTicks: where."""

    id: int
    callFrame: CallFrame
    hitCount: int = 0
    children: list[int] = []
    positionTicks: list[PositionTick] = []

    @property
    def start(self) -> int:
        """The function's first line, from 1."""
        return self.callFrame.lineNumber + 1

    def ticks_at(self, line: int) -> int:
        """Samples of this function at a line."""
        return sum(tick.ticks for tick in self.positionTicks if tick.line == line)


class CpuProfile(msgspec.Struct, frozen=True):
    """The call tree. Source: Chrome DevTools Protocol, Profiler.Profile."""

    nodes: list[Node]


class Worker(msgspec.Struct, frozen=True):
    """The profile of a worker thread."""

    name: str
    profile: CpuProfile


class Result(msgspec.Struct, frozen=True):
    """Of the main thread, and of the workers."""

    profile: CpuProfile
    workers: list[Worker] = []


def available() -> str:
    """'': node has its inspector built in."""
    return ""


def command(pid: int, runtime: str, seconds: float, out: Path) -> list[str]:
    """Profile one process for so many seconds."""
    return [
        *(sys.executable, "-m", "diagnose.profilers._inspected"),
        *(str(pid), f"{seconds:.2f}", str(out), str(RATE_HZ)),
    ]


def collect(out: Path, said: str) -> Collected:
    """V8's call tree as collapsed stacks, without the samples of an idle thread."""
    if not out.exists():
        return Collected("", 0, 0, f"no CPU profile: {_told.last_words(said)}")
    try:
        result = msgspec.json.decode(out.read_bytes(), type=Result)
    except msgspec.MsgspecError as error:
        return Collected("", 0, 0, f"node's CPU profile cannot be read: {error}")
    finally:
        out.unlink()
    folded, samples = fold(result.profile, THREAD)
    for worker in result.workers:
        more, seen = fold(worker.profile, worker.name.replace(";", ":").replace("\n", " "))
        folded, samples = folded + more, samples + seen
    if samples < MIN_SAMPLES:
        return Collected("", samples, 0, f"only {samples} samples: the process was idle")
    return Collected(folded, samples, 0, remark=_told.remark(said))


def fold(profile: CpuProfile, thread: str) -> tuple[str, int]:
    """Collapsed stacks of a thread, outermost first; and the number of samples that were not
    idle."""
    nodes = {node.id: node for node in profile.nodes}
    called = {child for node in profile.nodes for child in node.children}
    totals: dict[tuple[str, ...], int] = {}
    waiting: list[tuple[Node, tuple[str, ...]]] = [
        (node, (thread,)) for node in profile.nodes if node.id not in called
    ]
    while waiting:
        node, callers = waiting.pop()
        name = node.callFrame.functionName
        if name == IDLE:
            continue
        stack = callers if name == "(root)" else (*callers, frame(node.callFrame))
        children = [nodes[child] for child in node.children if child in nodes]
        moved = 0
        for tick in node.positionTicks:
            if (inlined := _inlined(node, tick.line, children)) is not None:
                below = (*stack, frame(inlined.callFrame))
                totals[below] = totals.get(below, 0) + tick.ticks
                moved += tick.ticks
        if node.hitCount > moved and len(stack) > 1:
            totals[stack] = totals.get(stack, 0) + node.hitCount - moved
        waiting += [(child, stack) for child in children]
    folded = "".join(f"{';'.join(stack)} {count}\n" for stack, count in totals.items())
    return folded, sum(totals.values())


def _inlined(node: Node, line: int, children: Sequence[Node]) -> Node | None:
    """The function called by this one whose line that is; None when it may be a line of its own.

    Where V8 has inlined a function its samples may have the caller's name and their own line. What
    the caller called before it was optimized stands below it, with the same line.
    """
    own = node.callFrame
    seen = [
        child
        for child in children
        if child.ticks_at(line)
        and (
            line < node.start
            or (child.callFrame.url == own.url and node.start < child.start < line)
        )
    ]
    return max(seen, key=lambda child: child.ticks_at(line), default=None)


def frame(call: CallFrame) -> str:
    """`function (file:line)`; native functions have no file."""
    if call.functionName == PROGRAM:
        return "[program]"
    name = call.functionName or "(anonymous)"
    if call.url:
        name += f" ({unquote(call.url.removeprefix('file://'))}:{call.lineNumber + 1})"
    return name.replace(";", ":").replace("\n", " ")
