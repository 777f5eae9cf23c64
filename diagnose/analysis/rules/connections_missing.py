"""Fewer connections stood during the window than were asked for.

Throughput and latency then belong to another load than the one named. Seen by the median number of
established connections over the window's ticks. A server that refuses or drops connections shows
here too: the errors tell.
"""

from __future__ import annotations

from statistics import median

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import measured_ticks
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.VALIDITY
NEEDS: tuple[str, ...] = ()

# Where every connection is reopened after each response, some are between two lives at any moment;
# in runs against closing servers at 512 connections that was under 5 %.
PRESENT_SHARE = 0.9


def check(run: Run) -> Finding:
    """Found when more than a tenth of the connections was missing half of the time."""
    by_time: dict[int, dict[int, int]] = {}
    for tick in measured_ticks(run):
        if tick.phase == "window":
            by_time.setdefault(int(tick.t * 10), {})[tick.worker] = tick.established
    workers = len({worker for row in by_time.values() for worker in row})
    totals = [sum(row.values()) for row in by_time.values() if len(row) == workers]
    if len(totals) < 3:
        return unknown(__name__, KIND, "the window is too short to tell")
    wanted = run.manifest.connections
    stood = int(median(totals))
    evidence = [
        Evidence("established", stood, "connections", round(wanted * PRESENT_SHARE), "load.jsonl")
    ]
    if stood < wanted * PRESENT_SHARE:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{stood} of {wanted} connections stood during the window",
            evidence,
            "look at the errors below: connections refused or ended by the server are its fault, "
            "connect timeouts mean a full listen backlog; or ask for fewer with -c",
        )
    return finding(
        __name__, KIND, Verdict.CLEAR, f"{stood} of {wanted} connections stood", evidence
    )
