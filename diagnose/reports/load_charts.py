"""What the load workers saw over time: throughput, failures, latency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from diagnose.analysis.observe import TickSeries
from diagnose.model.load import LoadTick
from diagnose.model.run import Run
from diagnose.reports.chart import Chart, Line, Values

# Shorter steps show the batches in which answers are read, not the throughput.
STEP_S = 0.25


def loads(run: Run) -> list[list[LoadTick]]:
    """The ticks of each load (measured, profiled), which count from zero each."""
    profile = run.phase("profile")
    cut = profile.started if profile else float("inf")
    first = [tick for tick in run.ticks if tick.t < cut]
    second = [tick for tick in run.ticks if tick.t >= cut]
    return [sorted(part, key=lambda tick: tick.t) for part in (first, second) if len(part) > 2]


def of_ticks(run: Run) -> list[Chart]:
    """The charts; without data where no load was recorded."""
    at: list[float] = []
    responses: Values = []
    failures: Values = []
    medians: Values = []
    slow: Values = []
    slowest: Values = []
    for ticks in loads(run):
        steps = [*np.arange(ticks[0].t, ticks[-1].t, STEP_S).tolist(), ticks[-1].t]
        right, wrong = TickSeries(ticks, "responses"), TickSeries(ticks, "failures")
        slices = _slices(ticks, steps)
        for (a, b), within in zip(pairwise(steps), slices, strict=True):
            # A last step that is nearly nothing would make a rate out of rounding.
            if b - a < STEP_S / 5:
                continue
            at.append((a + b) / 2)
            responses.append((right.at(b) - right.at(a)) / (b - a))
            failures.append((wrong.at(b) - wrong.at(a)) / (b - a))
            count = sum(tick.slice_count for tick in within)
            mean = _weighted(within, count)
            medians.append(mean(lambda tick: tick.slice_p50_s))
            slow.append(mean(lambda tick: tick.slice_p99_s))
            slowest.append(max(tick.slice_max_s for tick in within) if count else None)
        _gap(at, responses, failures, medians, slow, slowest)
    return [
        Chart(
            "throughput", "Throughput and failures", "1/s", at,
            (Line("responses", "good", responses), Line("failures", "bad", failures)),
        ),
        Chart(
            "latency", "Latency", "s", at,
            (
                Line("p50", "accent", medians),
                Line("p99", "warn", slow),
                Line("max", "bad", slowest, dashed=True),
            ),
            "means of the workers' 50 ms slices, weighted by responses; the distribution below "
            "has the percentiles of the whole window",
            logarithmic=True,
        ),
    ]  # fmt: skip


def _slices(ticks: Sequence[LoadTick], steps: Sequence[float]) -> list[list[LoadTick]]:
    """The ticks with responses that fall into each step."""
    found: list[list[LoadTick]] = [[] for _ in range(len(steps) - 1)]
    for tick in ticks:
        if tick.slice_count:
            index = min(int((tick.t - steps[0]) / STEP_S), len(found) - 1)
            found[index].append(tick)
    return found


def _weighted(
    ticks: Sequence[LoadTick], count: int
) -> Callable[[Callable[[LoadTick], float]], float | None]:
    def mean(value: Callable[[LoadTick], float]) -> float | None:
        return sum(value(tick) * tick.slice_count for tick in ticks) / count if count else None

    return mean


def _gap(at: list[float], *columns: Values) -> None:
    """The line is broken here: another load begins its counters anew."""
    if at:
        at.append(at[-1] + STEP_S / 2)
        for column in columns:
            column.append(None)
