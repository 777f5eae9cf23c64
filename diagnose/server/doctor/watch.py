"""Who else is at work: the host's busy time between two moments, less our own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from diagnose.server.doctor.facts import Busy, Watched
from diagnose.server.doctor.files import table, text

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
# The rest is told as a sum.
NAMED = 5
# A process below this is not worth a name: two clock ticks of a second.
LEAST_CORES = 0.02


@dataclass(frozen=True, slots=True)
class Moment:
    """Cumulative seconds of CPU time at time t, of the host and of each process (name, seconds)."""

    t: float
    busy_s: float
    stolen_s: float
    swapped: int | None
    processes: dict[int, tuple[str, float]]


def moment(proc: Path, t: float) -> Moment | None:
    """The host now; None where it does not tell.

    Source: proc(5), /proc/stat: user nice system idle iowait irq softirq steal.
    """
    for line in (text(proc / "stat") or "").splitlines():
        words = line.split()
        if words and words[0] == "cpu" and len(words) >= 9 and all(map(str.isdecimal, words[1:])):
            ticks = [int(word) for word in words[1:9]]
            busy = sum(ticks[:3]) + ticks[5] + ticks[6]
            paged = table(proc / "vmstat")
            swapped = (
                paged["pswpin"] + paged["pswpout"] if {"pswpin", "pswpout"} <= set(paged) else None
            )
            return Moment(t, busy * TICK_S, ticks[7] * TICK_S, swapped, _processes(proc))
    return None


def _processes(proc: Path) -> dict[int, tuple[str, float]]:
    """Name and CPU seconds of every process that is seen. A name may hold any character."""
    found: dict[int, tuple[str, float]] = {}
    try:
        entries = [entry for entry in os.listdir(proc) if entry.isdecimal()]
    except OSError:
        return found
    for entry in entries:
        line = text(proc / entry / "stat") or ""
        fields = line.rpartition(")")[2].split()
        if len(fields) < 13:
            continue
        name = line[line.find("(") + 1 : line.rfind(")")]
        found[int(entry)] = name, (int(fields[11]) + int(fields[12])) * TICK_S
    return found


def between(before: Moment, after: Moment, ours: Iterable[int]) -> Watched:
    """What happened between two moments; `ours` are the processes that do not count."""
    own = set(ours)
    seconds = max(after.t - before.t, 1e-9)
    used = {
        pid: cpu_s - before.processes.get(pid, (name, 0.0))[1]
        for pid, (name, cpu_s) in after.processes.items()
    }
    mine = sum(used.get(pid, 0.0) for pid in own)
    others = sorted(
        (
            Busy(after.processes[pid][0], pid, cpu_s / seconds)
            for pid, cpu_s in used.items()
            if pid not in own and cpu_s / seconds >= LEAST_CORES
        ),
        key=lambda busy: -busy.cores,
    )
    swapped = (
        None if before.swapped is None or after.swapped is None else after.swapped - before.swapped
    )
    return Watched(
        seconds=seconds,
        foreign=max(0.0, after.busy_s - before.busy_s - mine) / seconds,
        stolen=max(0.0, after.stolen_s - before.stolen_s) / seconds,
        swapped=swapped,
        busiest=tuple(others[:NAMED]),
    )
