"""Throughput and latency do not belong together: one of them was measured wrong.

Little's law: requests in flight = rate x mean latency, whatever the distribution. Seen by the
responses per second times their mean latency, held against the mean number of requests that were
in flight over the window. A product that is too small means that the latency leaves out time in
which requests waited (as that of some drivers does); one that is too large means that latency was
counted for requests that were not in flight. The law does not say which figure is wrong: quote
neither the latency nor a rate derived from it. Unknown where it cannot hold as measured: windows
that are short against the latency, requests that failed, hung or need no answer, an open loop whose
requests waited to be sent, a driver that connects again and does not tell how often.

Source: J. D. C. Little, A Proof for the Queuing Formula L = lambda W, Operations Research 9 (1961).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import measured_ticks
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import LoadResult, LoadTick
from diagnose.model.run import Run
from diagnose.model.scenario import Answer, Sending

KIND = Kind.VALIDITY
NEEDS: tuple[str, ...] = ()

# In 37 runs of our generator against healthy, slow and closing servers, 1 to 4096 connections, and
# under uploads, the law was off by 0.027 at most (4096 connections, unevenly served), and by less
# than 0.01 in 33 of them.
DEVIATION = 0.05
# h2load was off by 0.00, 0.00 and 0.06 at 8, 64 and 512 connections; wrk by 0.19 and 0.40 at 512
# and 2048, and by 0.28 and more in the other direction at 64 and 8.
DRIVER_DEVIATION = 0.1
# On each place in flight one request straddles each end of the window: its latency counts whole at
# the first end and not at all at the second. At worst, when all straddle alike, the law is off by
# one such latency in the length of the window; long ones are hit more often, so it is the mean that
# weighs each latency with itself. That share is added to what the law may be off by; in our runs
# the law was off by 0.6 of it at most. Above this it could hide as much as it excuses.
STRADDLING = 0.1
# Requests that fail or hang are in flight without a latency: so few of them cannot explain a
# deviation that is ten times as large.
WITHOUT_LATENCY = DEVIATION / 10
# In an open loop requests and ticks can beat in step, so that each tick counts one request too
# many: 1 / 20 of so many. A closed loop with the next request sent at once has no such beat.
MIN_OPEN_LOOP = 20.0
MIN_TICKS = 10


@dataclass(frozen=True, slots=True)
class _InFlight:
    """Mean requests in flight, the standard error of that mean, and how many more there were at
    most: those of connections that were just being opened. stalled: of them, without a byte moved
    for over a second. source: the file that it was read from."""

    mean: float
    error: float
    opening: float
    stalled: float
    source: str


def check(run: Run) -> Finding:
    """Found with the ratio of rate x latency to what was in flight."""
    load = run.load
    if load is None or load.duration_s < 0.5:
        return unknown(__name__, KIND, "the measured window gave no result")
    if not load.latency.samples:
        return unknown(__name__, KIND, "no latency was measured")
    seen = _in_flight(run, load)
    if seen is None:
        return unknown(__name__, KIND, "what was in flight was hardly counted in the window")
    rate = load.responses / load.duration_s
    product = rate * load.latency.mean_s
    ours = load.generator == "diagnose"
    allowed = DEVIATION if ours else DRIVER_DEVIATION
    # What was being opened may count or not: neither end of that range is a deviation.
    expected = min(max(product, seen.mean), seen.mean + seen.opening)
    ratio = product / expected if expected > 0 else 0.0
    straddling = _weighed_latency(load) / load.duration_s
    limit = allowed + straddling
    rows = [
        Evidence("law_deviation", abs(ratio - 1.0), "ratio", limit, "load.json"),
        Evidence("straddling_share", straddling, "ratio", STRADDLING, "load.json"),
        Evidence("rate_times_latency", product, "requests", None, "load.json"),
        Evidence("in_flight", seen.mean, "requests", None, seen.source),
        Evidence("rate", rate, "1/s", None, "load.json"),
        Evidence("mean_latency", load.latency.mean_s, "s", None, "load.json"),
    ]
    if why := _cannot_tell(run, load, seen, rows):
        return unknown(__name__, KIND, why, rows)
    said = (
        f"{rate:,.0f} responses/s x {load.latency.mean_s * 1e3:.2f} ms = {product:,.1f} requests, "
        f"{seen.mean:,.1f} were in flight"
    )
    if abs(ratio - 1.0) <= limit and straddling > STRADDLING:
        why = (
            f"{said}, but up to {straddling:.0%} may be requests that straddle the ends of the "
            "window; a longer window (-d) has less"
        )
        return unknown(__name__, KIND, why, rows)
    if abs(ratio - 1.0) <= limit:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    if ratio > 1 and _open_loop(run, load):
        rows.append(Evidence("overdue", load.overdue, "requests", 0, "load.json"))
        why = f"{said}: requests waited for a free connection, as their latency says"
        return unknown(__name__, KIND, why, rows)
    if why := _explained(load, seen, rows):
        return unknown(__name__, KIND, f"{said}, but {why}", rows)
    return finding(__name__, KIND, Verdict.FOUND, f"{said} ({ratio:.2f})", rows, _next_step(load))


def _in_flight(run: Run, load: LoadResult) -> _InFlight | None:
    """What was in flight by the ticks; of a driver, which gives none, by its connections."""
    by_worker: dict[int, list[LoadTick]] = {}
    for tick in measured_ticks(run):
        if tick.phase == "window":
            by_worker.setdefault(tick.worker, []).append(tick)
    pipeline = run.manifest.scenario.pipeline
    if not by_worker and load.generator != "diagnose":
        return _InFlight(float(load.connections * pipeline), 0.0, 0.0, 0.0, "load.json")
    if not by_worker or min(map(len, by_worker.values())) < MIN_TICKS:
        return None
    mean = error = standing = stalled = 0.0
    for ticks in by_worker.values():
        counts = [tick.in_flight for tick in ticks]
        mean += fmean(counts)
        error += stdev(counts) ** 2 / len(counts)
        standing += fmean(tick.established for tick in ticks)
        stalled += fmean(tick.stalled for tick in ticks)
    # The clock of a connection's first requests starts when it is opened, before it stands.
    opening = max(0.0, load.connections - standing) * pipeline if load.opens else 0.0
    return _InFlight(mean, sqrt(error), opening, stalled, "load.jsonl")


def _cannot_tell(run: Run, load: LoadResult, seen: _InFlight, rows: list[Evidence]) -> str:
    """Why the law says nothing about this run; '' when it does. Adds the figures to `rows`."""
    scenario = run.manifest.scenario
    if any(
        template.sending is not Sending.WHOLE or template.expect.answer is Answer.ANY
        for template in scenario.templates
    ):
        return "requests of this scenario stay in flight without an answer, on purpose"
    if seen.mean <= 0:
        return "nothing was in flight"
    if _open_loop(run, load) and seen.mean < MIN_OPEN_LOOP:
        return f"{seen.mean:.1f} requests in flight, counted at ticks, are too few to tell"
    if load.generator != "diagnose" and scenario.requests_per_connection:
        return f"{load.generator} does not tell how long connections were being opened"
    if 2 * seen.error > DEVIATION * seen.mean:
        rows.append(Evidence("in_flight_error", seen.error, "requests", None, seen.source))
        return "what was in flight swung too much to know its mean"
    return ""


def _open_loop(run: Run, load: LoadResult) -> bool:
    """Requests are due at a rate: their latency begins then, and in flight they are later."""
    return run.manifest.scenario.rate > 0 or load.rate > 0


def _explained(load: LoadResult, seen: _InFlight, rows: list[Evidence]) -> str:
    """What else than a wrong figure may be behind a deviation; '' when nothing is."""
    hung = seen.stalled / seen.mean
    lost = load.failed / max(1, load.responses + load.failed)
    if max(hung, lost) <= WITHOUT_LATENCY:
        return ""
    rows.append(Evidence("stalled_share", hung, "ratio", WITHOUT_LATENCY, "load.jsonl"))
    rows.append(Evidence("failed_share", lost, "ratio", WITHOUT_LATENCY, "load.json"))
    return "requests that failed or hung are in flight and have no latency"


def _weighed_latency(load: LoadResult) -> float:
    """The mean latency of what is in flight at a moment: each weighed with itself.

    Without a distribution, as from a driver, the plain mean. Source: HdrHistogram's layout for
    three significant digits over microseconds, as `LoadResult.histogram` counts.
    """
    weight = total = 0.0
    for index, count in load.histogram.items():
        bucket = max(index // 1024 - 1, 0)
        seconds = ((index if index < 2048 else index % 1024 + 1024) << bucket) / 1e6
        weight += count * seconds
        total += count * seconds * seconds
    return total / weight if weight > 0 else load.latency.mean_s


def _next_step(load: LoadResult) -> str:
    if load.generator != "diagnose":
        return (
            f"do not quote the latency of {load.generator}: its clock leaves waiting out; repeat "
            "without --driver"
        )
    return (
        "do not quote latency from this run; repeat it on a quiet machine with a longer window "
        "(-d 15), and if it is found again report it with load.json and load.jsonl: it is a fault "
        "of the generator"
    )
