"""How responses are shared out over the connections of a window."""

from __future__ import annotations

import pytest

from diagnose.load.shares import (
    Places,
    Shares,
    interleaved,
    places,
    shares,
    silent_late_share,
    spread,
)
from diagnose.model.load import Spread
from tests.load.rig import ANY, CLOSING, GET, Build


def all_stood(*responses: int) -> Shares:
    count = len(responses)
    return Shares(list(responses), [True] * count, [0.0] * count)


# -- two moments ---------------------------------------------------------------------------------


def test_responses_are_counted_over_all_sockets_of_a_place() -> None:
    begin = Places((0, 5), (10, 2), (1.0, 1.0), (True, True), (False, False))
    end = Places((0, 9), (25, 3), (1.0, 7.0), (True, True), (False, False))
    seen = shares(begin, end)
    assert seen.responses == [15, 5]
    assert seen.stood == [True, False]


@pytest.mark.parametrize(
    ("before", "after", "stood"),
    [
        pytest.param(True, True, True, id="both"),
        pytest.param(False, True, False, id="opened later"),
        pytest.param(True, False, False, id="gone"),
        pytest.param(False, False, False, id="never"),
    ],
)
def test_a_socket_stood_when_it_did_at_both_moments(before: bool, after: bool, stood: bool) -> None:
    begin = Places((0,), (0,), (1.0,), (before,), (False,))
    end = Places((0,), (0,), (1.0,), (after,), (False,))
    assert shares(begin, end).stood == [stood]


def test_a_place_whose_request_may_go_unanswered_is_not_silent() -> None:
    moment = Places((0,), (0,), (1.0,), (True,), (True,))
    assert shares(moment, moment).responses == [-1]


def test_nothing_without_connections() -> None:
    assert shares(Places(), Places()) == Shares()


# -- workers together ----------------------------------------------------------------------------


def test_places_of_workers_come_in_the_order_of_opening() -> None:
    parts = [all_stood(1, 4, 7), all_stood(2, 5), Shares([3, 6], [False, True], [0.0, 0.0])]
    every = interleaved(parts)
    assert every.responses == [1, 2, 3, 4, 5, 6, 7]
    assert every.stood == [True, True, False, True, True, True, True]


def test_a_worker_that_began_later_opened_its_places_later() -> None:
    parts = [Shares([3, 4], [True] * 2, [1.5, 1.6]), Shares([1, 2], [True] * 2, [1.0, 1.1])]
    assert interleaved(parts).responses == [1, 2, 3, 4]


def test_no_worker_has_no_places() -> None:
    assert interleaved([]) == Shares()


# -- the spread ----------------------------------------------------------------------------------


def test_the_spread_of_those_that_were_served() -> None:
    assert spread(all_stood(*range(101))) == Spread(100, 1, 11, 51, 90, 100)
    assert spread(all_stood(7)) == Spread(1, 7, 7, 7, 7, 7)


def test_sockets_that_came_or_went_have_no_part_in_it() -> None:
    assert spread(Shares([5, 900, 6], [True, False, True])) == Spread(2, 5, 5, 5, 6, 6)


@pytest.mark.parametrize("every", [Shares(), all_stood(0, 0), all_stood(-1), Shares([5], [False])])
def test_no_spread_of_nothing(every: Shares) -> None:
    assert spread(every) is None


# -- who is silent -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("responses", "share"),
    [
        pytest.param([9, 9, 0, 0], 1.0, id="the last ones"),
        pytest.param([0, 0, 9, 9], 0.0, id="the first ones"),
        pytest.param([9, 0, 0, 9], 0.5, id="between"),
        pytest.param([9, 0, 9, 0], 0.75, id="in turn"),
        pytest.param([9, -1, 0], 1.0, id="one that needs no answer"),
        pytest.param([9, 9], -1.0, id="none silent"),
        pytest.param([0, 0], -1.0, id="none served"),
        pytest.param([], -1.0, id="none at all"),
    ],
)
def test_the_share_of_silent_ones_that_were_opened_later(
    responses: list[int], share: float
) -> None:
    assert silent_late_share(all_stood(*responses)) == share


# -- as the engine counts ------------------------------------------------------------------------


def test_a_place_keeps_count_when_its_connection_is_turned_over(build: Build) -> None:
    rig = build(GET)
    begin = places(rig.engine.connections)
    rig.run("window", lambda: rig.engine.in_flight == 1)
    rig.answer(0)
    rig.run_to("ok", 1)
    rig.arrived(0)
    rig.answer(0, CLOSING)
    rig.run_to("ok", 2)
    rig.answer(1)
    rig.run_to("ok", 3)
    end = places(rig.engine.connections)
    assert shares(begin, end) == Shares([3], [False], [begin.opened[0]])
    assert (end.before, end.served) == ((2,), (1,))
    assert dict(rig.engine.tally.closes_after) == {2: 1}


def test_requests_of_any_answer_are_told_apart(build: Build) -> None:
    rig = build(ANY)
    assert places(rig.engine.connections).any_answer == (True,)
