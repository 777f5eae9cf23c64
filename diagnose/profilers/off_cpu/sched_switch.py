"""When and where threads went to sleep, by perf's sched_switch and its context switch records.

sched_switch is recorded in the thread that leaves its core, with its stack; the record that it is
back on one comes from `--switch-events`. What lies between is off-CPU time. Only sleeps count
(states S and D), not the loss of a core to another thread.

A second of it costs up to 40 MB and a good part of the throughput: it is taken outside of the
measured window, and ends early at a limit of its own.
Source: perf-record(1), perf-script(1), include/trace/events/sched.h.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

RECORD_S = 0.5
# perf script reads 16 MB in 0.2 s; a server that switches 10,000 times a second writes 45.
MAX_SIZE = "48M"
# Python's and Java's frames are deep: less of the stack ends within the interpreter.
STACK_BYTES = 4096
SCRIPT_TIMEOUT_S = 20.0
# With fewer sleeps in it there is no pattern.
MIN_SLEEPS = 20
ASLEEP = ("S", "D")

_HEAD = re.compile(r"^\s*(.*?)\s+(\d+)/(\d+)\s+(\d+\.\d+):\s+(.*)$")
_STATE = re.compile(r"\bprev_state=([A-Za-z])")
# A symbol may hold parentheses (C++); a module holds none but a final ` (deleted)`.
_FRAME = re.compile(r"^\s+[0-9a-f]+ (.*?)(?:\+0x[0-9a-f]+)? \(([^()]*(?: \(deleted\))?)\)$")


@dataclass(frozen=True, slots=True)
class Waits:
    """Off-CPU microseconds as collapsed stacks, thread name first. sleeps: how often a thread went
    to sleep; unended: of these, still asleep at the end."""

    folded: str
    sleeps: int
    unended: int


def available() -> str:
    """'' when perf is installed, else what to do."""
    if shutil.which("perf"):
        return ""
    return "perf is not installed: apt-get install linux-perf"


def command(pids: Sequence[int], out: Path) -> list[str]:
    """Record some processes for a second."""
    return [
        *("perf", "record", "--event", "sched:sched_switch", "--switch-events"),
        *("--call-graph", f"dwarf,{STACK_BYTES}", "--max-size", MAX_SIZE),
        *("--pid", ",".join(map(str, pids)), "--output", str(out)),
        *("--", "sleep", f"{RECORD_S:.1f}"),
    ]


def remedy(said: str) -> str:
    """What to do where perf recorded nothing, from what it said."""
    denied = ("Permission", "permission", "perf_event_paranoid", "tracefs", "tracing/events")
    if any(word in said for word in denied):
        return (
            "perf may not record scheduler events: run as root, or `sysctl -w "
            "kernel.perf_event_paranoid=-1` and `mount -o remount,mode=755 /sys/kernel/tracing`"
        )
    if "No such process" in said or "Couldn't create thread" in said:
        return "the process was gone when perf attached"
    last = said.strip().splitlines()[-1:] or ["it said nothing"]
    return f"perf gave no scheduler events: {last[0][:200]}"


def script(out: Path) -> str:
    """perf's data as text; '' when that took too long."""
    try:
        done = subprocess.run(
            [
                *("perf", "script", "--no-inline", "--show-switch-events", "--input", str(out)),
                *("--fields", "comm,pid,tid,time,event,trace,ip,sym,dso"),
            ],
            capture_output=True,
            timeout=SCRIPT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.decode(errors="replace")


@dataclass(slots=True)
class _Sleep:
    since: float
    stack: tuple[str, ...]


def fold(text: str) -> dict[int, Waits]:
    """What perf script printed, by process."""
    asleep: dict[tuple[int, int], _Sleep] = {}
    totals: dict[int, dict[tuple[str, ...], float]] = {}
    sleeps: dict[int, int] = {}
    unended: dict[int, int] = {}
    last = 0.0
    for comm, pid, tid, t, what, frames in blocks(text):
        last = max(last, t)
        key = (pid, tid)
        state = _STATE.search(what)
        if state is not None:
            if state[1] in ASLEEP and frames:
                asleep[key] = _Sleep(t, (comm, *reversed(frames)))
                sleeps[pid] = sleeps.get(pid, 0) + 1
        elif "PERF_RECORD_SWITCH" in what and " IN" in what and key in asleep:
            slept = asleep.pop(key)
            stacks = totals.setdefault(pid, {})
            stacks[slept.stack] = stacks.get(slept.stack, 0.0) + t - slept.since
    for (pid, _), slept in asleep.items():
        stacks = totals.setdefault(pid, {})
        stacks[slept.stack] = stacks.get(slept.stack, 0.0) + last - slept.since
        unended[pid] = unended.get(pid, 0) + 1
    return {
        pid: Waits(
            "".join(
                f"{';'.join(stack)} {round(seconds * 1e6)}\n"
                for stack, seconds in stacks.items()
                if seconds >= 1e-6
            ),
            sleeps.get(pid, 0),
            unended.get(pid, 0),
        )
        for pid, stacks in totals.items()
    }


def blocks(text: str) -> Iterator[tuple[str, int, int, float, str, list[str]]]:
    """Each event of perf script: thread name, process, thread, time, what else, frames innermost
    first. A last event whose frames were cut off is as long as it is."""
    head: re.Match[str] | None = None
    frames: list[str] = []
    for line in [*text.splitlines(), "end 0/0 0.0: "]:
        if match := _FRAME.match(line):
            symbol, module = match[1], match[2]
            if symbol == "[unknown]":
                symbol = f"[{Path(module.strip('[]')).name}]"
            frames.append(symbol.replace(";", ":"))
        elif match := _HEAD.match(line):
            if head is not None:
                name = head[1].replace(";", ":")
                yield name, int(head[2]), int(head[3]), float(head[4]), head[5], frames
            head, frames = match, []
