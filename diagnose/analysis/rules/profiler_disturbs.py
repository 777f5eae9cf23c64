"""The profiler slowed the server so much that the profile describes another load.

The profile is taken in a window of its own after the measured one. Throughput, latency, CPU and
memory come from the measured window and stay valid; what is affected is the profile: its hot frames
are those of a server that spends a good part of its time being looked at, and locks and queues look
different then. Seen by the throughput of the profiled window against that of the measured one.
Unknown without a profile, and where the measured window's own throughput varies as much.
"""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from statistics import fmean, stdev

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import TickSeries, measured_ticks
from diagnose.analysis.slowdown import MIN_RESPONSES, MIN_WINDOW_S
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.VALIDITY
NEEDS: tuple[str, ...] = ()
PROFILED = True

# Two runs of the same server on the same machine differed by up to 30 % with nothing else changed,
# and py-spy at twice the rate used here cost 24 %: a profile of such a run still names the right
# frames. Native unwinding, line profiling and system call tracing cost 38 to 92 %.
SLOWED_FOUND = 0.35
# Half of what two equal runs may differ by: nothing worth a second thought.
SLOWED_CLEAR = 0.15
# A profiled window lasts some three seconds; pieces of the measured one are compared with it.
PIECE_S = 1.0
MIN_PIECES = 3
# The slowdown has to be three standard errors away from zero.
DEVIATIONS = 3.0


def check(run: Run) -> Finding:
    """Found with the share of throughput that the profiler took."""
    load = run.load
    if load is None or load.duration_s < MIN_WINDOW_S or load.rps <= 0:
        return unknown(__name__, KIND, "the measured window gave no result")
    profiled = run.manifest.profiled_rps
    taken = [note for note in run.manifest.profiles if note.file]
    if profiled is None or not taken:
        return unknown(__name__, KIND, "no profile was taken")
    slowed = max(0.0, 1.0 - profiled / load.rps)
    noise = _noise(run)
    rows = [
        Evidence("slowed_share", slowed, "ratio", SLOWED_FOUND, "run.json"),
        Evidence("measured_rate", load.rps, "1/s", None, "load.json"),
        Evidence("profiled_rate", profiled, "1/s", None, "run.json"),
    ]
    names = ", ".join(sorted({note.profiler for note in taken}))
    if load.ok < MIN_RESPONSES:
        why = f"{load.ok} right responses are too few to compare throughput with"
        return unknown(__name__, KIND, why, rows)
    if noise is None:
        return unknown(__name__, KIND, "the measured window is too short to compare with", rows)
    rows.append(Evidence("rate_noise", noise, "ratio", None, "load.jsonl"))
    said = f"throughput under {names} was {profiled / load.rps:.2f} of the measured one"
    if slowed < SLOWED_CLEAR:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    if slowed < SLOWED_FOUND:
        return unknown(__name__, KIND, f"{said}: two equal runs may differ so much", rows)
    if slowed < DEVIATIONS * noise:
        why = f"{said}, but it varied by {noise:.0%} within the measured window as well"
        return unknown(__name__, KIND, why, rows)
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{said}: the profile shows another load; the figures stay valid, they come from the "
        "window without a profiler",
        rows,
        _next_step(names),
    )


def _noise(run: Run) -> float | None:
    """The standard deviation of the rate over pieces of the measured window, as a share of it.

    None when there are fewer than three pieces.
    """
    ticks = measured_ticks(run)
    window = [tick.t for tick in ticks if tick.phase == "window"]
    if not window:
        return None
    series = TickSeries(ticks, "responses")
    pieces = int((window[-1] - window[0]) / PIECE_S + 0.05)
    if pieces < MIN_PIECES:
        return None
    length = (window[-1] - window[0]) / pieces
    marks = [series.at(window[0] + number * length) for number in range(pieces + 1)]
    rates = [after - before for before, after in pairwise(marks)]
    mean = fmean(rates)
    if mean <= 0:
        return None
    # Both windows vary: the difference of two has the deviation of one times the root of two.
    return stdev(rates) / mean * sqrt(2.0)


def _next_step(names: str) -> str:
    return (
        f"do not rank frames by this profile; take one with less load (-c) or another profiler "
        f"(--profile perf costs least where it can be used), or fewer threads for {names} to stop"
    )
