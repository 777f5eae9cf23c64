"""Two servers side by side: which figures got better or worse.

Looking at the figures after each pair and stopping when they please finds differences where there
are none. So there are at most three looks, at numbers of pairs that are fixed beforehand, and each
has a third of the error that is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from diagnose.analysis.figures import Figures
from diagnose.analysis.statistics import (
    Interval,
    bootstrap_interval,
    holm,
    log_ratios,
    noise_threshold,
    pairs_needed,
    sign_flip,
)

ALPHA = 0.05
# With 6 metrics the sign-flip test can pass a third of 5 % from 10 pairs on (12 / 1024).
LOOKS = (10, 14, 20)
# Smaller differences are nobody's concern, and below what the order in memory does to a program.
PRACTICAL = 0.02
# Of requests that fail, far fewer matter.
PRACTICAL_ERRORS = 0.001


class Change(StrEnum):
    """What the figures say about one metric."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that is compared. better: +1 where more is better, -1 where less is. of: the figure,
    above 0; None where it was not measured. practical: the smallest difference that matters."""

    name: str
    title: str
    unit: str
    better: int
    of: Callable[[Figures], float | None]
    practical: float = PRACTICAL


def _cpu_per_request(seen: Figures) -> float | None:
    if seen.cpu_cores is None or not seen.responses or not seen.duration_s:
        return None
    return seen.cpu_cores * seen.duration_s / seen.responses


def _answered_right(seen: Figures) -> float | None:
    """The share of requests that came to a response without error."""
    failed = seen.errors + (seen.unanswered or 0)
    asked = seen.responses + failed
    return max(seen.responses - seen.errors, 0.5) / asked if asked else None


METRICS = (
    Metric("rps", "throughput", "1/s", +1, lambda seen: seen.rps),
    Metric("p50_s", "latency, p50", "s", -1, lambda seen: seen.p50_s),
    Metric("p99_s", "latency, p99", "s", -1, lambda seen: seen.p99_s),
    Metric("cpu_per_request_s", "CPU per request", "s", -1, _cpu_per_request),
    Metric("memory_peak_bytes", "peak memory", "bytes", -1, lambda seen: seen.memory_peak_bytes),
    Metric(
        "right_share",
        "answered without error",
        "ratio",
        +1,
        _answered_right,
        PRACTICAL_ERRORS,
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One metric. base, new: geometric means. threshold: of the ratio's logarithm, the greater of
    the practical one and of the noise between runs of the base. p: adjusted for all metrics.
    more_pairs: that would decide it, 0 where it is decided."""

    metric: Metric
    base: float
    new: float
    interval: Interval
    p: float
    threshold: float
    noise: float
    change: Change
    more_pairs: int = 0


# What one look may err.
ALPHA_OF_LOOK = ALPHA / len(LOOKS)


def compare(
    base: Sequence[Figures], new: Sequence[Figures], alpha: float = ALPHA_OF_LOOK
) -> list[Row]:
    """A row for each metric that was measured in every run; runs in pairs, in the order of time."""
    told: list[tuple[Metric, list[float], list[float]]] = []
    for metric in METRICS:
        before = [value for seen in base if (value := metric.of(seen)) is not None and value > 0]
        after = [value for seen in new if (value := metric.of(seen)) is not None and value > 0]
        if before and len(before) == len(base) and len(after) == len(new):
            told.append((metric, before, after))
    return compare_values(told, alpha)


def compare_values(
    told: Sequence[tuple[Metric, Sequence[float], Sequence[float]]], alpha: float
) -> list[Row]:
    """The same from the metrics' values."""
    logs = {metric.name: log_ratios(before, after) for metric, before, after in told}
    adjusted = holm({name: sign_flip(ratios) for name, ratios in logs.items()})
    rows = []
    for metric, before, after in told:
        ratios = logs[metric.name]
        interval = bootstrap_interval(ratios)
        noise = noise_threshold(before, len(ratios))
        threshold = max(metric.practical, noise)
        p = adjusted[metric.name]
        change = _change(metric, interval, p <= alpha, threshold)
        more = 0
        if change is Change.UNDECIDED:
            more = pairs_needed(ratios, metric.practical, alpha / len(told))
        rows.append(
            Row(
                metric,
                _geometric(before),
                _geometric(after),
                interval,
                p,
                threshold,
                noise,
                change,
                more,
            )
        )
    return rows


def _geometric(values: Sequence[float]) -> float:
    return math.exp(sum(math.log(value) for value in values) / len(values))


def _change(metric: Metric, interval: Interval, differs: bool, threshold: float) -> Change:
    """A difference counts when it is no chance and matters; that there is none, when the interval
    leaves no room for one that does."""
    if differs and abs(interval.mean) >= threshold:
        return Change.BETTER if interval.mean * metric.better > 0 else Change.WORSE
    return Change.SAME if interval.within(metric.practical) else Change.UNDECIDED


def decided(rows: Sequence[Row]) -> bool:
    """More pairs are not worth their time: every metric is decided, or one got worse."""
    if not rows:
        return False
    changes = [row.change for row in rows]
    return Change.UNDECIDED not in changes or Change.WORSE in changes
