"""One connection, some, and all: does the server do more when more is asked of it?

A server whose event loop is blocked, or whose requests queue for a pool, does as much with one
connection for each process as with hundreds, and each request waits for all the others, while cores
are idle. What each connection costs in memory or threads is seen between two counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from diagnose.analysis.memory_growth import connecting
from diagnose.analysis.scalability import FEWEST_POINTS, scalability
from diagnose.experiments._figures import (
    between,
    p50,
    processes,
    rates,
    server_cores,
    threads,
    told,
    undecided,
)
from diagnose.model.experiment import Change, Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.units import format_bytes

TITLE = "one connection, some, and all"
DECIDES = {
    "blocking_event_loop": "as much throughput with one connection for each process as with all, "
    "latency in step with the connections, cores idle",
    "pool_exhausted": "throughput stops growing long before the connections do, cores idle",
    "memory_per_connection": "memory grows in step with the connections, before any request",
    "thread_explosion": "threads grow in step with the connections",
}
REPEATS = 1
# Nothing else makes these follow the connections before any request.
ALONE = ("memory_per_connection", "thread_explosion")
# With fewer there is no room for counts between one and all.
FEWEST = 16
# What one more connection may add when nothing is left to share: noise, and what overlaps.
FLAT = 1.3
# Of the cores that the server may use.
IDLE_SHARE = 0.6
# Of a latency that grows in step with the connections.
IN_STEP = 0.5
# As the rules have it, for each connection.
MEMORY_EACH, MEMORY_EACH_CLEAR = 256 * 1024, 128 * 1024
THREADS_EACH, THREADS_EACH_CLEAR = 0.5, 0.1


def counts(most: int) -> tuple[int, ...]:
    """Four counts from one to all, in equal factors."""
    return tuple(sorted({max(1, round(most ** (part / 3))) for part in range(4)}))


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """A leg for each count."""
    most = base.manifest.connections
    if most < FEWEST:
        return f"{most} connections leave no room for fewer: use more (-c)"
    return tuple(Leg(_label(count), Change(connections=count)) for count in counts(most))


def _label(count: int) -> str:
    return f"{count} connection{'s' if count > 1 else ''}"


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """As each cause predicts."""
    if suspect.id == "memory_per_connection":
        return _each(base, seen, _memory, (MEMORY_EACH, MEMORY_EACH_CLEAR), "bytes")
    if suspect.id == "thread_explosion":
        return _each(base, seen, _threads, (THREADS_EACH, THREADS_EACH_CLEAR), "threads")
    return _flat(base, seen, suspect)


def _flat(base: Run, seen: Seen, suspect: Finding) -> Judged:
    few, most = counts(base.manifest.connections)[0], base.manifest.connections
    one, all_of = rates(seen, _label(few)), rates(seen, _label(most))
    waits, waits_all = told(seen, _label(few), p50), told(seen, _label(most), p50)
    cores = told(seen, _label(most), server_cores)
    if not (one and all_of and waits and waits_all and cores):
        return undecided("too few responses, or the load was the limit")
    at_once = max(processes(run.run) for run in seen[_label(most)])
    gain = all_of[0] / one[0]
    slower = waits_all[0] / waits[0]
    had = len(base.manifest.host.server_cpus)
    said = (
        f"{most}x the connections: {gain:.2g}x the throughput, {slower:.3g}x the latency, on "
        f"{cores[0]:.2f} of {had} cores"
    )
    rows = (
        Evidence("throughput_gain", gain, "ratio", None, "load.json"),
        Evidence("latency_factor", slower, "ratio", most, "load.json"),
        Evidence("server_cpu", cores[0], "cores", IDLE_SHARE * had, "samples.jsonl"),
    )
    idle = cores[0] <= IDLE_SHARE * had
    if suspect.id == "blocking_event_loop":
        loops = min(at_once, most)
        # Of n equal loops each serves one at a time.
        flat = gain <= FLAT * loops
        in_step = slower >= IN_STEP * most / loops
        if flat and in_step and idle:
            effect = f"up to {most / gain:.2g}x if requests did not wait for one another"
            return Judged(Outcome.CONFIRMED, said, effect, rows)
        if gain >= 2 * FLAT * loops:
            return Judged(Outcome.REFUTED, said, evidence=rows)
        return Judged(Outcome.UNDECIDED, said, evidence=rows)
    return _stops(base, seen, said, idle, rows)


def _stops(base: Run, seen: Seen, said: str, idle: bool, rows: tuple[Evidence, ...]) -> Judged:
    """Throughput of the last step, against what its connections would have given."""
    last, most = counts(base.manifest.connections)[-2:]
    before, after = rates(seen, _label(last)), rates(seen, _label(most))
    if not before or not after:
        return undecided("too few responses, or the load was the limit")
    gain = after[0] / before[0]
    said += f"; from {last} to {most} connections {gain:.2g}x"
    if gain <= FLAT and idle:
        return Judged(Outcome.CONFIRMED, said, f"it serves what {last} connections ask for", rows)
    if gain >= IN_STEP * most / last:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)


def _memory(run: Analyzed) -> float | None:
    opened = connecting(run.run)
    return None if opened is None else float(opened.growth)


def _threads(run: Analyzed) -> float | None:
    return float(threads(run.run)) or None


def _each(
    base: Run,
    seen: Seen,
    of: Callable[[Analyzed], float | None],
    limits: tuple[float, float],
    unit: str,
) -> Judged:
    some, most = counts(base.manifest.connections)[-2:]
    less, more = told(seen, _label(some), of), told(seen, _label(most), of)
    if not less or not more:
        return undecided(f"{unit} were not sampled while connections were opened")
    each = (more[0] - less[0]) / (most - some)
    amount = format_bytes(max(0.0, each)) if unit == "bytes" else f"{each:.2f} {unit}"
    said = f"{amount} for each connection between {some} and {most}"
    rows = (Evidence(f"{unit}_per_connection", each, unit, limits[0], "samples.jsonl"),)
    if each >= limits[0]:
        return Judged(Outcome.CONFIRMED, said, evidence=rows)
    if each <= limits[1]:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)


def remark(base: Run, seen: Seen) -> str:
    """The Universal Scalability Law through these points; '' where too few can be told."""
    points = [
        (float(count), value)
        for count in counts(base.manifest.connections)
        for value in rates(seen, _label(count))
    ]
    if len({count for count, _ in points}) < FEWEST_POINTS:
        return ""
    fitted = scalability(points)
    low, high = fitted.peak
    peak = (
        "no peak"
        if low == float("inf")
        else f"a peak at {fitted.curve.peak:.3g} connections ({low:.3g} to {high:.3g})"
    )
    return (
        f"Universal Scalability Law: contention {between(fitted.contention)}, coherency "
        f"{between(fitted.coherency)} (95 %), {peak}"
    )
