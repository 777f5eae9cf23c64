"""What is said of two servers, from figures that were made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from diagnose.analysis.comparison import (
    ALPHA,
    ALPHA_OF_LOOK,
    LOOKS,
    METRICS,
    Change,
    Metric,
    compare,
    compare_values,
    decided,
)
from diagnose.analysis.figures import Figures, figures
from tests.builders import make_run

BY_NAME = {metric.name: metric for metric in METRICS}
PAIRS = 10
JITTER = (1.01, 0.99, 1.004, 0.995, 1.008, 0.992, 1.0, 1.005, 0.997, 1.003)


def seen(**changes: float) -> Figures:
    """The figures of a healthy run, with some changed."""
    return replace(figures(make_run()), **changes)  # type: ignore[arg-type]


def rates(*values: float) -> list[Figures]:
    """A run for each throughput."""
    return [seen(rps=value) for value in values]


def row_of(base: Sequence[Figures], new: Sequence[Figures], name: str = "rps") -> object:
    """What was said of one metric."""
    (row,) = [row for row in compare(base, new) if row.metric.name == name]
    return row.change


def test_the_same_figures_are_the_same() -> None:
    rows = compare(rates(*[100.0] * PAIRS), rates(*[100.0] * PAIRS))
    assert {row.metric.name for row in rows} == set(BY_NAME)
    assert {row.change for row in rows} == {Change.SAME}
    assert decided(rows)


@pytest.mark.parametrize(
    ("factor", "change"), [(0.9, Change.WORSE), (1.1, Change.BETTER), (1.0, Change.SAME)]
)
def test_a_difference_beyond_noise_is_decided(factor: float, change: Change) -> None:
    base = [100.0 * jitter for jitter in JITTER]
    new = [100.0 * factor * jitter for jitter in reversed(JITTER)]
    assert row_of(rates(*base), rates(*new)) is change


def test_more_latency_is_worse_and_less_is_better() -> None:
    base, slow = [seen(p50_s=0.001)] * PAIRS, [seen(p50_s=0.0011)] * PAIRS
    assert row_of(base, slow, "p50_s") is Change.WORSE
    assert row_of(slow, base, "p50_s") is Change.BETTER


def test_a_difference_within_the_noise_of_the_base_is_undecided() -> None:
    loud = [100.0 * (1 + 6 * (jitter - 1)) for jitter in JITTER]
    new = [0.97 * value for value in reversed(loud)]
    rows = {row.metric.name: row for row in compare(rates(*loud), rates(*new))}
    row = rows["rps"]
    assert row.change is Change.UNDECIDED
    assert row.more_pairs >= 1
    assert row.threshold == row.noise > 0.02
    assert not decided(list(rows.values()))


def test_one_percent_is_no_concern_however_certain() -> None:
    assert row_of(rates(*[100.0] * PAIRS), rates(*[99.0] * PAIRS)) is Change.SAME


def test_one_pair_decides_nothing_but_says_how_many_would() -> None:
    rows = compare(rates(100.0), rates(50.0), ALPHA)
    by_name = {row.metric.name: row for row in rows}
    assert by_name["rps"].change is Change.UNDECIDED
    # 8 pairs: 2 / 2**8 is the first below 5 % for each of 6 metrics.
    assert by_name["rps"].more_pairs == 7


def test_what_was_not_measured_in_every_run_is_left_out() -> None:
    base = [seen(cpu_cores=None), *[seen()] * 9]  # type: ignore[arg-type]
    names = {row.metric.name for row in compare(base, [seen()] * 10)}
    assert names == set(BY_NAME) - {"cpu_per_request_s"}


def test_errors_are_worse_from_one_in_a_thousand() -> None:
    good = [seen(errors=0)] * PAIRS
    answered = good[0].responses
    bad = [seen(errors=answered // 100)] * PAIRS
    assert row_of(good, bad, "right_share") is Change.WORSE
    assert row_of(bad, good, "right_share") is Change.BETTER


def test_the_first_look_can_find_something() -> None:
    """The sign-flip test must be able to pass its share of alpha after Holm's adjustment."""
    assert 2 / 2 ** LOOKS[0] * len(METRICS) <= ALPHA_OF_LOOK
    assert ALPHA_OF_LOOK * len(LOOKS) == pytest.approx(ALPHA)


def test_servers_that_are_the_same_differ_at_most_as_often_as_alpha() -> None:
    """150 simulated comparisons with all looks; benchmarks/compare.py draws 10,000."""
    random = np.random.default_rng(11)
    wrong = 0
    metrics = METRICS[:3]
    for _ in range(150):
        noise = np.exp(random.normal(0, 0.04, (len(metrics), 2, LOOKS[-1])))
        for pairs in LOOKS:
            told: list[tuple[Metric, Sequence[float], Sequence[float]]] = [
                (metric, list(one[:pairs]), list(two[:pairs]))
                for metric, (one, two) in zip(metrics, noise, strict=True)
            ]
            rows = compare_values(told, ALPHA_OF_LOOK)
            if {row.change for row in rows} & {Change.WORSE, Change.BETTER}:
                wrong += 1
                break
            if decided(rows):
                break
    assert wrong / 150 <= ALPHA
