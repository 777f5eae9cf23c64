"""Fits of the Universal Scalability Law to curves whose parameters are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diagnose.analysis.scalability import Curve, fit, scalability

COUNTS = (1, 2, 4, 8, 16, 32, 64)


def points(curve: Curve, noise: float = 0.0, repeats: int = 1) -> list[tuple[float, float]]:
    """The curve at all counts, each figure off by some share."""
    random = np.random.default_rng(5)
    return [
        (count, curve.at(count) * math.exp(random.normal(0, noise)))
        for count in COUNTS
        for _ in range(repeats)
    ]


@pytest.mark.parametrize(
    ("contention", "coherency"), [(0.0, 0.0), (0.05, 0.0), (1.0, 0.0), (0.0, 0.001), (0.1, 0.002)]
)
def test_a_curve_without_noise_is_found_again(contention: float, coherency: float) -> None:
    found = fit(points(Curve(1000.0, contention, coherency)))
    assert found.rate == pytest.approx(1000.0)
    assert found.contention == pytest.approx(contention, abs=1e-9)
    assert found.coherency == pytest.approx(coherency, abs=1e-9)


def test_no_parameter_is_negative() -> None:
    """Throughput that grows faster than the count has no contention, and not less than none."""
    found = fit([(count, 1000.0 * count**1.2) for count in COUNTS])
    assert found.contention == 0.0
    assert found.coherency == 0.0


def test_the_peak_is_where_throughput_is_highest() -> None:
    curve = Curve(1000.0, 0.05, 0.001)
    assert curve.peak == pytest.approx(math.sqrt(0.95 / 0.001))
    assert curve.at(curve.peak) > max(curve.at(curve.peak * 0.8), curve.at(curve.peak * 1.25))
    assert Curve(1000.0, 0.5, 0.0).peak == math.inf


def test_intervals_hold_what_is_true_and_say_how_good_the_fit_is() -> None:
    truth = Curve(1000.0, 0.05, 0.001)
    found = scalability(points(truth, 0.02, 2))
    assert found.contention[0] < 0.05 < found.contention[1]
    assert found.coherency[0] < 0.001 < found.coherency[1]
    assert found.peak[0] < truth.peak < found.peak[1]
    assert found.explained > 0.95


@pytest.mark.parametrize(
    "few",
    [
        pytest.param([(1, 10.0), (2, 20.0), (4, 30.0)], id="three points"),
        pytest.param([(1, 10.0)] * 4, id="one count"),
        pytest.param([(1, 10.0), (2, 20.0), (4, 30.0), (8, 0.0)], id="no throughput"),
        pytest.param([], id="nothing"),
    ],
)
def test_too_little_is_refused(few: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="scalability curve needs 4"):
        fit(few)
