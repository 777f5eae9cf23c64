"""The Universal Scalability Law: what throughput does as more is offered.

    X(N) = rate N / (1 + contention (N - 1) + coherency N (N - 1))

contention is the share of the work that is done one at a time (Amdahl's law for coherency 0);
coherency is what each one costs each other one, and the reason that throughput falls beyond a peak.
N is the number of cores, or of connections. Source: Gunther, Guerrilla Capacity Planning (2007), 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray

SEED = 20260401
DRAWS = 500
# Three parameters need more points than they are.
FEWEST_POINTS = 4
CONFIDENCE = 0.95

Floats = NDArray[np.float64]
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """A fitted curve. rate: throughput of one; contention and coherency are never negative."""

    rate: float
    contention: float
    coherency: float

    def at(self, count: float) -> float:
        """The throughput that the law predicts for so many."""
        loss = self.contention * (count - 1) + self.coherency * count * (count - 1)
        return self.rate * count / (1 + loss)

    @property
    def peak(self) -> float:
        """Where throughput is highest; infinite where it never falls.

        Source: the same, sqrt((1 - contention) / coherency).
        """
        if self.coherency <= 0:
            return math.inf
        return max(1.0, math.sqrt(max(0.0, 1 - self.contention) / self.coherency))


@dataclass(frozen=True, slots=True)
class Scalability:
    """A curve with the intervals of its parameters and of its peak, and the share of the variance
    of the throughput that it accounts for."""

    curve: Curve
    contention: Bounds
    coherency: Bounds
    peak: Bounds
    explained: float


def fit(points: Iterable[tuple[float, float]]) -> Curve:
    """The curve through points (count, throughput), by least squares of the relative error.

    N / X is linear in 1, N - 1 and N (N - 1), with coefficients that may not be negative. With two
    of these the best of all subsets that stay at 0 is found by trying each.

    Raises: ValueError with fewer points than parameters, or throughput that is not above 0.
    """
    counts, rates = np.array(sorted(points), dtype=float).reshape(-1, 2).T
    if len(set(counts)) < FEWEST_POINTS or not (rates > 0).all() or not (counts >= 1).all():
        raise ValueError(
            f"a scalability curve needs {FEWEST_POINTS} counts from 1 up with throughput above 0"
        )
    # Divided by the seen N / X: each row's residual is then the relative error of its point.
    columns = np.array([np.ones_like(counts), counts - 1, counts * (counts - 1)])
    rows = (columns * (rates / counts)).T
    # Of fits that are equally good but for the last bits the first has the fewest terms.
    return min(_candidates(rows), key=lambda candidate: round(candidate[0], 12))[1]


def _candidates(rows: Floats) -> Iterable[tuple[float, Curve]]:
    """(sum of squares, curve) for each choice of terms that comes out without a negative one."""
    for used in chain.from_iterable(combinations((1, 2), size) for size in range(3)):
        chosen = [0, *used]
        solution, *_ = np.linalg.lstsq(rows[:, chosen], np.ones(len(rows)), rcond=None)
        if (solution < 0).any() or solution[0] <= 0:
            continue
        terms = dict(zip(chosen, (float(value) for value in solution), strict=True))
        error = float(np.sum((rows[:, chosen] @ solution - 1) ** 2))
        first = terms[0]
        yield error, Curve(1 / first, terms.get(1, 0.0) / first, terms.get(2, 0.0) / first)


def scalability(points: Sequence[tuple[float, float]]) -> Scalability:
    """The curve with 95 % intervals by a bootstrap of its residuals: each draw puts the relative
    errors of the points on other ones, and fits again.

    Raises: ValueError, as `fit` does.
    """
    curve = fit(points)
    counts = [count for count, _ in points]
    smooth = np.array([curve.at(count) for count in counts])
    seen = np.array([rate for _, rate in points])
    errors = np.log(seen / smooth)
    # Fitted residuals are too small by the parameters that were fitted to them.
    errors = (errors - errors.mean()) * math.sqrt(len(points) / (len(points) - 3))
    random = np.random.default_rng(SEED)
    drawn = [
        fit(zip(counts, smooth * np.exp(random.choice(errors, len(errors))), strict=True))
        for _ in range(DRAWS)
    ]
    variance = float(np.sum((seen - seen.mean()) ** 2))
    left = float(np.sum((seen - smooth) ** 2))
    return Scalability(
        curve,
        _bounds([one.contention for one in drawn]),
        _bounds([one.coherency for one in drawn]),
        _bounds([one.peak for one in drawn]),
        max(0.0, 1 - left / variance) if variance > 0 else 0.0,
    )


def _bounds(values: Sequence[float]) -> Bounds:
    """The middle 95 %; by rank, because a peak may be infinite."""
    ranked = sorted(values)
    tail = (1 - CONFIDENCE) / 2
    last = len(ranked) - 1
    return ranked[math.floor(tail * last)], ranked[math.ceil((1 - tail) * last)]
