"""How many connections stood during the window, by the ticks of the load workers."""

from __future__ import annotations

from statistics import median

from diagnose.analysis.observe import measured_ticks
from diagnose.model.run import Run

# Three tenths of a second of ticks.
MIN_TICKS = 6


def standing(run: Run) -> int | None:
    """The median number of established connections; None where the window is too short to tell."""
    by_worker: dict[int, list[int]] = {}
    for tick in measured_ticks(run):
        if tick.phase == "window":
            by_worker.setdefault(tick.worker, []).append(tick.established)
    if not by_worker or min(map(len, by_worker.values())) < MIN_TICKS:
        return None
    # Workers tick when they get to it, not together: each one's median, added.
    return int(sum(median(counts) for counts in by_worker.values()))
