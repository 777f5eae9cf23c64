"""Two or more candidates measured in turn, and what is said of their figures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def interleaved(candidates: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Every candidate once a round, in the order A B, B A, A B, ..., so that drift meets all."""
    runs: dict[str, list[T]] = {name: [] for name in candidates}
    for number in range(rounds):
        order = list(candidates.items())
        for name, run in order if number % 2 == 0 else reversed(order):
            runs[name].append(run())
    return runs


def ratios(ours: Sequence[float], others: Sequence[float]) -> list[float]:
    """Ours divided by the other, round by round."""
    return [mine / other for mine, other in zip(ours, others, strict=True)]


def median(values: Sequence[float], form: str = ",.0f") -> str:
    """The median as text."""
    return format(statistics.median(values), form)


def spread(values: Sequence[float]) -> str:
    """`min - max` of ratios as text."""
    return f"{min(values):.2f} - {max(values):.2f}"
