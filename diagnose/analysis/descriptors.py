"""How close the processes of the server came to their limits of descriptors."""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.analysis.observe import LOAD_PHASES
from diagnose.model.run import Run

# A process that keeps one descriptor in reserve, to accept and close what it cannot serve (libuv),
# or that gives some back between two samples, stays a few below its limit.
RESERVE = 4
RESERVE_SHARE = 0.02
# Phases in which connections stand.
PHASES = ("connect", *LOAD_PHASES)
# What C libraries and runtimes write of EMFILE and ENFILE. Source: strerror(3), errno(3).
WORDS = ("too many open files", "emfile", "enfile")


@dataclass(frozen=True, slots=True)
class NearestLimit:
    """The process that came closest to its limit: the most descriptors that it was seen with."""

    pid: int
    name: str
    most: int
    limit: int

    @property
    def reached(self) -> bool:
        """No connection more, or hardly one, could be opened."""
        return self.most >= self.limit - max(RESERVE, int(RESERVE_SHARE * self.limit))


def nearest_limit(run: Run) -> NearestLimit | None:
    """The closest approach under load; None where limits or descriptors were not read."""
    limits = run.manifest.launch.descriptor_limits
    if not limits:
        return None
    most: dict[int, tuple[int, str]] = {}
    for phase in PHASES:
        for sample in run.samples_in(phase):
            for process in sample.processes:
                if process.descriptors > most.get(process.pid, (-1, ""))[0]:
                    most[process.pid] = process.descriptors, process.name
    # A process that came later has the limit of those that it was forked from.
    common = min(limits.values())
    rows = [
        NearestLimit(pid, name, count, limits.get(pid, common))
        for pid, (count, name) in most.items()
        if count >= 0
    ]
    return min(rows, key=lambda row: (row.limit - row.most, row.pid), default=None)


def complaints(run: Run) -> list[str]:
    """The last lines of the server's log that tell of a want of descriptors."""
    return [
        line for line in run.manifest.end.log_tail if any(word in line.lower() for word in WORDS)
    ]
