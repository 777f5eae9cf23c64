"""Who slept, on what, called from where: every place of a run, not only the one to blame.

Of a process whose threads' stacks were looked at, these count; the scheduler's records tell of the
others. Threads of a pool, and processes that do the same, share a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from diagnose.analysis.frames import blamed, frame
from diagnose.analysis.thread_time import Place, place_of
from diagnose.analysis.waiting import MIN_LOOKS, idle, native_call
from diagnose.model.profile import AT_REST, Profile

# Less than one thread in twenty looks is chance.
LEAST = 0.05
MOST_ROWS = 12
# Where a thread of the scheduler's records has nothing to do.
_NOTHING_TO_DO = (Place.READY, Place.ACCEPT)
_NUMBER = re.compile(r"[-_ #]*\d+$")
RESTING = "(nothing to do)"
HELD_UP = "(waiting)"
KERNEL = "_[k]"


@dataclass(frozen=True, slots=True)
class WaitRow:
    """Threads that slept in one place.

    at: the application's function, or the innermost one that is known, '' without a name; inner:
    the innermost frame where it is another one. at_once: the mean number of threads, all
    processes together. resting: they had nothing to do.
    """

    thread: str
    place: Place
    at: str
    inner: str
    at_once: float
    processes: int
    profiler: str
    resting: bool


@dataclass(frozen=True, slots=True)
class WaitTable:
    """The rows of threads that were held up, most threads first; resting: the mean number of
    threads with nothing to do; left_out: of the rows that are not shown."""

    rows: tuple[WaitRow, ...]
    resting: float
    left_out: float


def wait_table(waits: Iterable[Profile]) -> WaitTable | None:
    """None where nothing looked at sleeping threads, or saw too little."""
    chosen = _chosen(waits)
    if not chosen:
        return None
    totals: dict[tuple[str, Place, str, str, str, bool], tuple[float, set[int]]] = {}
    for profile in chosen:
        for stack, count in profile.stacks:
            row = _row(profile, stack)
            key = (row.thread, row.place, row.at, row.inner, row.profiler, row.resting)
            before, pids = totals.get(key, (0.0, set()))
            totals[key] = before + count * _threads_each(profile), {*pids, profile.note.pid}
    rows = [
        WaitRow(thread, place, at, inner, at_once, len(pids), profiler, resting)
        for (thread, place, at, inner, profiler, resting), (at_once, pids) in totals.items()
    ]
    busy = sorted((row for row in rows if not row.resting), key=lambda row: -row.at_once)
    shown = tuple(row for row in busy[:MOST_ROWS] if row.at_once >= LEAST)
    return WaitTable(
        shown,
        sum(row.at_once for row in rows if row.resting),
        sum(row.at_once for row in busy[len(shown) :]),
    )


def _chosen(waits: Iterable[Profile]) -> list[Profile]:
    """One profile a process."""
    best: dict[int, Profile] = {}
    for profile in waits:
        note = profile.note
        if note.kind != "off-cpu" or not profile.stacks:
            continue
        if note.samples < MIN_LOOKS if note.unit == "samples" else note.seconds <= 0:
            continue
        if note.pid not in best or note.unit == "samples":
            best[note.pid] = profile
    return list(best.values())


def _threads_each(profile: Profile) -> float:
    """The mean number of threads that a weight of 1 stands for."""
    note = profile.note
    return 1 / note.samples if note.unit == "samples" else 1e-6 / note.seconds


def _row(profile: Profile, stack: Sequence[str]) -> WaitRow:
    note = profile.note
    thread = _NUMBER.sub("", stack[0]) or stack[0]
    if note.unit != "samples":
        call = native_call(stack)
        place, caller = (call.place, call.caller) if call else (Place.OTHER, "")
        resting = place in _NOTHING_TO_DO
        return WaitRow(thread, place, caller, "", 0.0, 1, note.profiler, resting)
    frames = [text for text in stack[1:-1] if text != AT_REST]
    at = blamed(frames) or (frame(frames[-1]) if frames else None)
    inner = frame(frames[-1]) if frames else None
    within = inner.short if inner is not None and inner != at else ""
    return WaitRow(
        thread, place_of(stack[-1]), at.short if at else "", within, 0.0, 1, note.profiler,
        idle(stack),
    )  # fmt: skip


def drawn(profile: Profile) -> Profile:
    """The same for a flame graph: threads with nothing to do apart from those that are held up,
    threads of a pool as one, and the kernel's functions marked as perf marks them."""
    if profile.note.kind != "off-cpu":
        return profile
    return replace(
        profile, stacks=tuple((_drawn(profile, stack), count) for stack, count in profile.stacks)
    )


def _drawn(profile: Profile, stack: Sequence[str]) -> tuple[str, ...]:
    depth = len(stack) - 1
    if profile.note.unit != "samples":
        call = native_call(stack)
        depth = call.depth if call else len(stack)
    row = _row(profile, stack)
    root = RESTING if row.resting else HELD_UP
    above = (text for text in stack[1:depth] if text != AT_REST)
    return (root, row.thread, *above, *(f"{text}{KERNEL}" for text in stack[depth:]))
