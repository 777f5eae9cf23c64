"""Statistics of paired comparisons, against values worked out by hand and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diagnose.analysis.statistics import (
    Interval,
    bootstrap_interval,
    holm,
    log_ratios,
    noise_threshold,
    pairs_needed,
    sign_flip,
    student_t,
)


def test_a_log_ratio_is_new_over_base() -> None:
    assert log_ratios([1.0, 2.0], [math.e, 2.0]).tolist() == pytest.approx([1.0, 0.0])
    assert log_ratios([], []).tolist() == []


@pytest.mark.parametrize(
    ("base", "new"), [([1.0], []), ([0.0], [1.0]), ([1.0], [-1.0]), ([1.0], [math.nan])]
)
def test_what_has_no_ratio_is_refused(base: list[float], new: list[float]) -> None:
    with pytest.raises(ValueError, match=r"paired|above 0"):
        log_ratios(base, new)


@pytest.mark.parametrize(
    ("logs", "p"),
    [
        pytest.param([], 1.0, id="nothing seen"),
        pytest.param([0.3], 1.0, id="one pair tells nothing"),
        pytest.param([0.1, 0.2], 0.5, id="two of four"),
        pytest.param([0.1] * 5, 2 / 32, id="all the same sign"),
        pytest.param([0.3, 0.2, -0.1], 0.5, id="4 of 8: +++, ++- and their mirror images"),
        pytest.param([0.0] * 4, 1.0, id="no difference at all"),
        pytest.param([0.1] * 10, 2 / 1024, id="ten pairs"),
    ],
)
def test_the_sign_flip_test_counts_all_changes_of_sign(logs: list[float], p: float) -> None:
    assert sign_flip(np.array(logs)) == pytest.approx(p)


def test_many_pairs_are_flipped_at_random_and_never_impossible() -> None:
    assert sign_flip(np.full(20, 0.1)) == pytest.approx(1 / 65537, rel=3)
    assert sign_flip(np.array([0.1, -0.1] * 10)) > 0.99
    assert sign_flip(np.full(20, 0.1)) == sign_flip(np.full(20, 0.1))


def test_holm_adjusts_as_worked_out_by_hand() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


@pytest.mark.parametrize(
    ("freedom", "truth"), [(2, 4.303), (3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042)]
)
def test_student_t_is_that_of_the_tables(freedom: int, truth: float) -> None:
    assert student_t(0.975, freedom) == pytest.approx(truth, rel=0.01)


def test_an_interval_of_one_pair_reaches_everywhere() -> None:
    interval = bootstrap_interval(np.array([math.log(2)]))
    assert interval.ratio == pytest.approx(2)
    assert interval.ratios == (0, math.inf)
    assert not interval.within(10)
    with pytest.raises(ValueError, match="at least one pair"):
        bootstrap_interval(np.array([]))


def test_an_interval_holds_its_mean_and_shrinks_with_pairs() -> None:
    noise = np.array([0.03, -0.01, 0.02, -0.04, 0.01, -0.02])
    few, many = bootstrap_interval(0.1 + noise), bootstrap_interval(0.1 + np.tile(noise, 4))
    for interval in (few, many):
        assert interval.low < interval.mean < interval.high
    assert many.high - many.low < few.high - few.low
    assert not few.within(0.1)
    assert few.within(0.2)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    noise = np.random.default_rng(7).normal(0, 0.03, (600, 10))
    held = [interval.low <= 0 <= interval.high for interval in map(bootstrap_interval, noise)]
    assert np.mean(held) >= 0.93


def test_no_difference_is_found_more_often_than_alpha_says() -> None:
    """Of pairs that are the same: one p-value in twenty is 0.05 or less, also with heavy tails."""
    random = np.random.default_rng(3)
    for draws in (random.normal(0, 1, (1500, 8)), random.standard_t(2, (1500, 8))):
        assert np.mean([sign_flip(logs) <= 0.05 for logs in draws]) <= 0.065


def test_noise_is_that_of_neighbours_and_not_of_a_drift() -> None:
    calm = noise_threshold([100.0, 101.0, 100.0, 101.0, 100.0], 4)
    assert calm == pytest.approx(student_t(0.975, 4) * math.log(1.01) / 2, rel=1e-6)
    drifting = [100 * 1.01**step for step in range(5)]
    assert noise_threshold(drifting, 4) == pytest.approx(calm)
    assert noise_threshold([100.0], 4) == math.inf
    assert noise_threshold([100.0] * 6, 6) == 0.0


def test_pairs_needed_grow_with_the_noise() -> None:
    noise = np.array([0.03, -0.01, 0.02, -0.04, 0.01, -0.01])
    calm = pairs_needed(0.05 + noise, 0.02, 0.05)
    loud = pairs_needed(0.05 + 4 * noise, 0.02, 0.05)
    assert 1 <= calm < loud
    on_the_limit = 0.02 - 1e-6 + noise - noise.mean()
    assert pairs_needed(on_the_limit, 0.02, 0.05) == 10_000 - 6


def test_pairs_needed_are_enough_for_the_test_to_pass() -> None:
    assert pairs_needed(np.array([0.5]), 0.02, 0.05) == 5  # 2 / 2**6 = 0.031
    assert pairs_needed(np.full(5, 0.5), 0.02, 0.05) == 1


def test_the_ends_of_an_interval_are_ratios() -> None:
    assert Interval(0.0, -math.log(2), math.log(4), 3).ratios == pytest.approx((0.5, 4.0))
