"""The latency histogram against numpy's percentiles and HdrHistogram's bucket layout."""

from __future__ import annotations

import math
from fractions import Fraction

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.load.histogram import MAX_MICROSECONDS, SUB_BUCKETS, Histogram, bucket_values
from diagnose.model.load import Latency

# A bucket is at most 1/1024 of its value wide and shows its middle; times are whole microseconds.
RELATIVE = 1 / 2047
ABSOLUTE = 1.01e-6

seconds = st.floats(1e-6, 3600.0)


def near(value: float) -> object:
    return pytest.approx(value, rel=RELATIVE, abs=ABSOLUTE)


def recorded(values: list[float]) -> Histogram:
    histogram = Histogram()
    histogram.record(values)
    return histogram


def exact(values: npt.NDArray[np.float64], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed, its rank without rounding errors.

    numpy's own inverted_cdf takes 99.9 % of 1000 values to be 1000 of them.
    """
    rank = max(1, math.ceil(len(values) * Fraction(str(percent)) / 100))
    return float(np.sort(values)[rank - 1])


def distribution(name: str) -> npt.NDArray[np.float64]:
    random = np.random.default_rng(20260311)
    return {
        "uniform": random.uniform(1e-5, 0.5, 20_000),
        "lognormal": random.lognormal(-6, 1.5, 20_000),
        "two_humps": np.concatenate(
            [random.normal(0.002, 0.0002, 9_900), random.normal(1.5, 0.1, 100)]
        ),
        "constant": np.full(1_000, 0.040),
        "microseconds": random.integers(1, 3000, 5_000) / 1e6,
        "hours": random.uniform(600.0, 3600.0, 2_000),
        "one": np.array([0.25]),
    }[name]


NAMES = ["uniform", "lognormal", "two_humps", "constant", "microseconds", "hours", "one"]
PERCENTS = [0, 0.1, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100]


@pytest.mark.parametrize("name", NAMES)
def test_percentiles_and_summary_agree_with_numpy(name: str) -> None:
    values = distribution(name)
    histogram = recorded(values.tolist())
    for percent in PERCENTS:
        seen = histogram.percentile(percent)
        assert seen == near(exact(values, percent)), percent
        below, above = (
            float(np.percentile(values, percent, method=method)) for method in ("lower", "higher")
        )
        assert below * (1 - RELATIVE) - ABSOLUTE <= seen <= above * (1 + RELATIVE) + ABSOLUTE
    latency = histogram.latency()
    assert latency.samples == len(values)
    assert latency.mean_s == near(float(values.mean()))
    assert latency.max_s == near(float(values.max()))
    for percent, seen in (
        (50, latency.p50_s),
        (90, latency.p90_s),
        (99, latency.p99_s),
        (99.9, latency.p999_s),
    ):
        assert seen == near(exact(values, percent)), percent


@settings(deadline=None, max_examples=60)
@given(st.lists(seconds, min_size=1, max_size=50), st.integers(0, 100))
def test_any_percentile_of_any_values(values: list[float], percent: int) -> None:
    assert recorded(values).percentile(percent) == near(exact(np.array(values), percent))


def test_empty() -> None:
    histogram = Histogram()
    histogram.record([])
    assert histogram.samples == 0
    assert histogram.counts() == {}
    assert histogram.percentile(50) == 0.0
    assert histogram.latency() == Latency()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, 1e-6),
        (-1.0, 1e-6),
        (1e-9, 1e-6),
        (1.4e-6, 1e-6),
        (1.6e-6, 2e-6),
        (2047e-6, 2047e-6),
        (2048e-6, 2048.5e-6),
        (1e6, 3600.0),
        (math.inf, 3600.0),
    ],
)
def test_edges_of_the_range(value: float, shown: float) -> None:
    assert recorded([value]).percentile(50) == pytest.approx(shown, rel=RELATIVE)


# -- layout -------------------------------------------------------------------------------------

MICROSECONDS = sorted(
    {
        value + step
        for power in range(32)
        for value in (1 << power, 3 << power >> 1)
        for step in (-1, 0, 1)
        if 1 <= value + step <= MAX_MICROSECONDS
    }
    | {2047, 2048, 2049, 4095, 4096, 4097, 999_999, MAX_MICROSECONDS - 1, MAX_MICROSECONDS}
)


def test_buckets_are_those_of_hdr_histogram() -> None:
    theirs = HdrHistogram(1, MAX_MICROSECONDS, 3)
    assert theirs.sub_bucket_count == SUB_BUCKETS
    for micros in MICROSECONDS:
        (index,) = recorded([micros / 1e6]).counts()
        assert index == theirs._counts_index_for(micros), micros
        assert theirs.get_value_from_index(index) == theirs.get_lowest_equivalent_value(micros)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.integers(1, MAX_MICROSECONDS), min_size=1, max_size=20))
def test_any_counts_are_those_of_hdr_histogram(micros: list[int]) -> None:
    theirs = HdrHistogram(1, MAX_MICROSECONDS, 3)
    for value in micros:
        assert theirs.record_value(value)
    counts = recorded([value / 1e6 for value in micros]).counts()
    assert {index: theirs.get_count_at_index(index) for index in counts} == counts
    assert sum(counts.values()) == theirs.get_total_count()


def test_bucket_values_are_the_middles() -> None:
    theirs = HdrHistogram(1, MAX_MICROSECONDS, 3)
    for micros in MICROSECONDS:
        index = theirs._counts_index_for(micros)
        low = theirs.get_lowest_equivalent_value(micros)
        high = theirs.get_highest_equivalent_value(micros)
        middle = float(bucket_values(np.array([index]))[0])
        assert middle == pytest.approx((low + high) / 2 / 1e6, rel=1e-12), micros


def test_bucket_values_rise() -> None:
    values = bucket_values(np.arange(23_221))
    assert np.all(np.diff(values) > 0)


# -- counts and merging ------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(st.lists(seconds, max_size=50))
def test_counts_round_trip(values: list[float]) -> None:
    counts = recorded(values).counts()
    copy = msgspec.json.decode(msgspec.json.encode(counts), type=dict[int, int])
    assert Histogram(copy).counts() == counts
    assert Histogram(copy).latency() == recorded(values).latency()
    assert all(count > 0 for count in counts.values())


@settings(deadline=None, max_examples=50)
@given(st.lists(seconds, max_size=30), st.lists(seconds, max_size=30))
def test_merging_is_recording_everything_in_one(first: list[float], second: list[float]) -> None:
    merged = recorded(first)
    other = recorded(second)
    merged.merge(other)
    assert merged.counts() == recorded(first + second).counts()
    assert other.counts() == recorded(second).counts()
    assert merged.samples == len(first) + len(second)


def test_recording_twice_adds() -> None:
    histogram = recorded([0.001, 0.002])
    histogram.record([0.001, 0.001])
    assert sorted(histogram.counts().values()) == [1, 3]


def test_counts_are_a_copy() -> None:
    histogram = recorded([0.001])
    counts = histogram.counts()
    histogram.record([0.001])
    assert list(counts.values()) == [1]
