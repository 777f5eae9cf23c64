"""The latency histogram: every response is in a bar, percentiles stand where they are."""

from __future__ import annotations

import re

import pytest

from diagnose.model.load import lowest_microseconds
from diagnose.reports.distribution import Distribution, distribution
from tests.builders import make_load


def drawn(histogram: dict[int, int]) -> Distribution:
    """The picture of these buckets."""
    found = distribution(make_load(histogram=histogram))
    assert found is not None
    return found


def counted(picture: Distribution) -> int:
    """The responses in all bars, by their labels."""
    return sum(int(re.sub(r"\D", "", bar.label.split(" ")[0])) for bar in picture.bars)


def test_nothing_recorded_is_no_picture() -> None:
    assert distribution(None) is None
    assert distribution(make_load(histogram={})) is None


@pytest.mark.parametrize(
    ("index", "microseconds"), [(0, 1), (1, 1), (2047, 2047), (2048, 2048), (3072, 4096)]
)
def test_buckets_are_those_of_the_histogram(index: int, microseconds: int) -> None:
    assert lowest_microseconds(index) == microseconds


def test_one_bucket_is_one_bar() -> None:
    picture = drawn({7120: 5000})
    assert len(picture.bars) == 1
    assert picture.bars[0].height == 1
    assert 0.2 < picture.bars[0].x < 0.8
    assert counted(picture) == picture.responses == 5000


def test_every_response_is_in_a_bar() -> None:
    picture = drawn({index: 3 for index in range(100, 12_000, 37)})
    assert counted(picture) == picture.responses
    assert all(0 <= bar.x <= 1 and 0 < bar.height <= 1 for bar in picture.bars)


def test_percentiles_are_in_order_and_below_each_other() -> None:
    picture = drawn({1000: 900, 1500: 95, 9000: 5})
    labels = [mark.label for mark in picture.percentiles]
    assert labels == ["p50 1.00 ms", "p90 1.00 ms", "p99 1.50 ms", "p99.9 204.00 ms"] or (
        labels[:3] == ["p50 1.00 ms", "p90 1.00 ms", "p99 1.50 ms"]
    )
    assert [mark.row for mark in picture.percentiles] == [0, 1, 2, 3]
    places = [mark.x for mark in picture.percentiles]
    assert places == sorted(places)


def test_ticks_are_round() -> None:
    picture = drawn({200: 1, 1000: 5, 3000: 1})
    assert [tick.label for tick in picture.ticks] == ["200 us", "500 us", "1 ms", "2 ms"]
