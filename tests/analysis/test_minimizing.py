"""What is tried next when the smallest load that shows a symptom is looked for."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from diagnose.analysis.minimizing import MOST_RUNS, NEAR, Minimizer, Range, Step

RANGES = (Range("connections", 256, 1), Range("body_bytes", 20 * 2**20, 1024))


def searched(
    shows: Callable[[dict[str, float]], bool], ranges: tuple[Range, ...] = RANGES
) -> Minimizer:
    search = Minimizer(ranges)
    for _ in range(500):
        asked = search.next()
        if asked is None:
            return search
        search.tell(shows({**search.smallest, asked[0]: asked[1]}))
    raise AssertionError("it does not end")


def test_what_needs_nothing_is_found_at_once() -> None:
    search = searched(lambda _: True)
    assert search.smallest == {"connections": 1, "body_bytes": 1024}
    # Each of the two by two runs that agree.
    assert [(step.value, step.shown, step.runs) for step in search.steps] == [
        (1, 2, 2),
        (1024, 2, 2),
    ]


@pytest.mark.parametrize("needed", [2, 3, 17, 64, 200, 250])
def test_the_smallest_number_is_found_nearly(needed: int) -> None:
    search = searched(lambda load: load["connections"] >= needed)
    found = search.smallest["connections"]
    assert needed <= found <= max(needed * NEAR, needed + 1)


def test_what_needs_all_of_it_stays_as_it_was() -> None:
    search = searched(lambda load: load["connections"] >= 256 and load["body_bytes"] >= 20 * 2**20)
    assert search.smallest == {"connections": 256, "body_bytes": 20 * 2**20}


def test_one_quantity_after_the_other() -> None:
    """An upload that holds bodies: connections times size count."""
    search = searched(lambda load: load["connections"] * load["body_bytes"] >= 2**30)
    small = search.smallest
    assert small["connections"] == pytest.approx(52, rel=0.25)
    assert small["connections"] * small["body_bytes"] >= 2**30
    assert small["connections"] * small["body_bytes"] <= 2**30 * NEAR**2


def test_a_run_in_which_noise_decided_does_not_decide() -> None:
    noise = random.Random(7)

    def shows(load: dict[str, float]) -> bool:
        truth = load["connections"] >= 64
        return truth if noise.random() > 0.15 else not truth

    found = [searched(shows, RANGES[:1]).smallest["connections"] for _ in range(40)]
    near = [value for value in found if 64 / NEAR <= value <= 64 * NEAR**2]
    assert len(near) >= 30


def test_it_ends_although_every_other_run_says_another_thing() -> None:
    turns = iter([True, False] * 500)
    search = searched(lambda _: next(turns))
    assert all(step.runs <= MOST_RUNS for step in search.steps)


def test_a_draw_does_not_show_it() -> None:
    assert not Step("connections", 4, 2, 4).shows
    assert Step("connections", 4, 3, 5).shows


def test_nothing_to_make_smaller() -> None:
    assert Minimizer(()).next() is None
    assert Minimizer((Range("connections", 1, 1),)).next() is None
