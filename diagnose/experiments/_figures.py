"""What experiments read from their runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from diagnose.model.experiment import Judged, Outcome, Seen
from diagnose.model.finding import Finding, Verdict
from diagnose.model.report import Analyzed
from diagnose.model.run import Run

# A run with fewer responses says nothing about speed.
FEWEST_RESPONSES = 10
# Of pairs: one alone cannot be told from a disturbance of either run.
FEWEST_PAIRS = 2


def undecided(why: str) -> Judged:
    """Neither way."""
    return Judged(Outcome.UNDECIDED, why)


def answer(run: Analyzed, rule: str) -> Finding | None:
    """What a rule said of a run."""
    return next((finding for finding in run.findings if finding.id == rule), None)


def figure(run: Analyzed, rule: str, metric: str) -> float | None:
    """A figure that a rule gave as evidence."""
    said = answer(run, rule)
    rows = said.evidence if said else ()
    for row in rows:
        if row.metric == metric and isinstance(row.value, int | float):
            return float(row.value)
    return None


def client_limited(run: Analyzed) -> bool:
    """The load generator, not the server, was the limit."""
    said = answer(run, "client_saturated")
    return said is not None and said.verdict is Verdict.FOUND


def rate(run: Analyzed) -> float | None:
    """Right responses per second; None where there are too few, or the client was the limit."""
    if run.run.load is None or run.run.load.responses < FEWEST_RESPONSES or client_limited(run):
        return None
    return run.run.load.rps or None


def rates(seen: Seen, label: str) -> list[float]:
    """The rates of a leg that can be told."""
    return told(seen, label, rate)


def told(seen: Seen, label: str, of: Callable[[Analyzed], float | None]) -> list[float]:
    """A figure of each run of a leg, without the runs that do not tell it."""
    return [value for run in seen.get(label, []) if (value := of(run)) is not None]


def pair_ratios(
    seen: Seen, base: str, new: str, of: Callable[[Analyzed], float | None] = rate
) -> list[float]:
    """new / base of neighboring runs of two legs.

    A run that does not tell the figure takes its partner with it: the runs after it stay with
    their own neighbors.
    """
    pairs = zip(seen.get(base, []), seen.get(new, []), strict=False)
    told_of = [(of(before), of(after)) for before, after in pairs]
    return [after / before for before, after in told_of if before and after is not None]


def between(values: Sequence[float], unit: str = "") -> str:
    """The range of some figures in words."""
    low, high = min(values), max(values)
    if f"{low:.3g}" == f"{high:.3g}":
        return f"{low:.3g}{unit}"
    return f"{low:.3g} to {high:.3g}{unit}"


def mean(values: Sequence[float]) -> float:
    """The geometric mean of figures above 0."""
    return math.exp(sum(math.log(value) for value in values) / len(values))


def processes(run: Run) -> int:
    """The most processes that the server had at once under load."""
    return max((len(sample.processes) for sample in run.samples_in("window")), default=1)


def threads(run: Run) -> int:
    """The most threads that the server had at once under load."""
    counts = [
        sum(process.thread_count for process in sample.processes)
        for sample in run.samples_in("window")
    ]
    return max(counts, default=0)


def server_cores(run: Analyzed) -> float | None:
    """Cores that the server used in the window."""
    value = run.figures.get("cpu_cores")
    return float(value) if isinstance(value, int | float) else None


def p50(run: Analyzed) -> float | None:
    """The median latency in seconds."""
    value = run.figures.get("p50_s")
    return float(value) if isinstance(value, int | float) else None
