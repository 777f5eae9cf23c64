"""A chart as data: lines or lanes over time, and how it is told in few points.

Reduced, a chart keeps the lowest and the highest value of every stretch of time: what stands out in
the data stands out in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

# Thread names reach 15 bytes, but labels hold names of cores and runtimes too.
MOST_LABEL = 80

Values = list[float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a chart. color: a name that the page gives a color. dashed: beside the others."""

    label: str
    color: str
    values: Values
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over the same moments. unit: `1/s`, `s`, `cores`, `bytes`, `count` or `share`.

    lanes: one strip each from 0 to 1, as many lines each as `layers`, laid on one another.
    """

    id: str
    title: str
    unit: str
    times: list[float]
    lines: tuple[Line, ...]
    note: str = ""
    lanes: bool = False
    layers: int = 1
    logarithmic: bool = False

    @property
    def has_data(self) -> bool:
        """There is something to draw."""
        known = any(value is not None for line in self.lines for value in line.values)
        return known and len(self.times) > 2


def reduced(chart: Chart, points: int) -> Chart:
    """Two moments for each stretch of time; each line has its lowest and its highest value there,
    in the order in which they came."""
    if len(chart.times) <= points:
        return chart
    stretches = max(1, points // 2)
    bounds = np.linspace(0, len(chart.times), stretches + 1).astype(int)
    times: list[float] = []
    columns: list[Values] = [[] for _ in chart.lines]
    for a, b in pairwise(bounds.tolist()):
        times += [chart.times[a], chart.times[b - 1]] if b - a > 1 else [chart.times[a]]
        for line, column in zip(chart.lines, columns, strict=True):
            column += _extremes(line.values[a:b])
    lines = tuple(
        replace(line, values=column) for line, column in zip(chart.lines, columns, strict=True)
    )
    return replace(chart, times=times, lines=lines)


def _extremes(values: Values) -> Values:
    """The lowest and the highest of some values in their order; one value stays one."""
    if len(values) == 1:
        return values
    known = [index for index, value in enumerate(values) if value is not None]
    if not known:
        return [None, None]
    low = min(known, key=lambda index: values[index] or 0.0)
    high = max(known, key=lambda index: values[index] or 0.0)
    return [values[min(low, high)], values[max(low, high)]]


def document(chart: Chart, start: float) -> dict[str, Any]:
    """The chart for JSON, counted from `start`; lines without a value are left out of it."""
    return {
        "id": chart.id,
        "title": chart.title,
        "unit": chart.unit,
        "note": chart.note,
        "lanes": chart.lanes,
        "layers": chart.layers,
        "log": chart.logarithmic,
        "t": [round(t - start, 3) for t in chart.times],
        "lines": [
            {
                "label": line.label,
                "color": line.color,
                "dashed": line.dashed,
                "values": [_short(value) for value in line.values],
            }
            for line in chart.lines
            if chart.lanes or any(value is not None for value in line.values)
        ],
    }


def _short(value: float | None) -> float | int | None:
    """Four significant digits: more cannot be seen, and cost the reader's disk."""
    if value is None or not math.isfinite(value):
        return None
    if value == 0:
        return 0
    digits = 3 - math.floor(math.log10(abs(value)))
    return round(value, digits) if digits > 0 else int(round(value, digits))


def clipped(text: str) -> str:
    """A label that fits a chart."""
    return text if len(text) <= MOST_LABEL else text[: MOST_LABEL - 1] + "\N{HORIZONTAL ELLIPSIS}"
