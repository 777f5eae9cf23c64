"""The latency distribution as bars on a logarithmic scale, with the percentiles on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from diagnose.model.load import LoadResult, lowest_microseconds
from diagnose.units import format_seconds

# Bars in a factor of ten, as long as there are not more than BARS of them.
PER_DECADE = 48
BARS = 96
PERCENTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999))


@dataclass(frozen=True, slots=True)
class Bar:
    """Responses between two latencies. x, width, height: shares of the picture."""

    x: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A latency at its place. row: marks that are close to one another stand below each other."""

    x: float
    label: str
    row: int = 0


@dataclass(frozen=True, slots=True)
class Distribution:
    """All of it; ticks are round latencies."""

    bars: tuple[Bar, ...]
    ticks: tuple[Mark, ...]
    percentiles: tuple[Mark, ...]
    responses: int


def distribution(load: LoadResult | None) -> Distribution | None:
    """None where no latency was recorded."""
    counts = load.histogram if load is not None else {}
    if not counts:
        return None
    lows = {index: lowest_microseconds(index) / 1e6 for index in counts}
    low, high = min(lows.values()), max(lows.values())
    # At least a factor of two, so that one bar is a bar and not the whole picture.
    if high / low < 2:
        low, high = low / 1.5, high * 1.5
    decades = math.log10(high / low)
    number = max(24, min(BARS, math.ceil(decades * PER_DECADE)))
    heights = [0] * number
    for index, count in counts.items():
        place = math.log10(lows[index] / low) / decades * number
        heights[min(number - 1, int(place))] += count
    tallest = max(heights)
    edges = [low * 10 ** (decades * edge / number) for edge in range(number + 1)]
    bars = tuple(
        Bar(
            position / number,
            1 / number,
            height / tallest,
            f"{height:,} responses between {format_seconds(edges[position])} and "
            f"{format_seconds(edges[position + 1])}",
        )
        for position, height in enumerate(heights)
        if height
    )
    return Distribution(
        bars, _ticks(low, decades), _percentiles(counts, lows, low, decades), sum(counts.values())
    )


def _ticks(low: float, decades: float) -> tuple[Mark, ...]:
    """Powers of ten; within few of them, also their doubles and fives."""
    factors = (1, 2, 5) if decades < 2.5 else (1,)
    first = math.floor(math.log10(low))
    marks = []
    for power in range(first, first + math.ceil(decades) + 2):
        for factor in factors:
            x = math.log10(factor * 10.0**power / low) / decades
            if 0 <= x <= 1:
                marks.append(Mark(x, _round(factor, power)))
    return tuple(marks)


def _round(factor: int, power: int) -> str:
    """`200 us`, `1 ms`, `5 s`."""
    unit, base = ("s", 0) if power >= 0 else ("ms", -3) if power >= -3 else ("us", -6)
    return f"{factor * 10 ** (power - base)} {unit}"


def _percentiles(
    counts: Mapping[int, int], lows: Mapping[int, float], low: float, decades: float
) -> tuple[Mark, ...]:
    ordered = sorted(counts)
    total = sum(counts.values())
    marks: list[Mark] = []
    seen, place = 0, 0
    for name, share in PERCENTILES:
        while place < len(ordered) - 1 and seen + counts[ordered[place]] < share * total:
            seen += counts[ordered[place]]
            place += 1
        value = lows[ordered[place]]
        x = min(1.0, max(0.0, math.log10(value / low) / decades))
        marks.append(Mark(x, f"{name} {format_seconds(value)}", len(marks)))
    return tuple(marks)
