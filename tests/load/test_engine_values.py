"""Values that are drawn for each connection, and answers that must fit them."""

from __future__ import annotations

import re

import pytest

from diagnose.load import exchange
from diagnose.load.connection import NOTHING
from diagnose.model.scenario import Expectation, RequestTemplate
from tests.load.rig import CLOSING, Build, Rig, response

SUM = RequestTemplate("sum", "GET", "/?a={RAND:1:1000000}&b={SEQ:0}", expect=Expectation(sum=True))
COUNTED = RequestTemplate("counted", "GET", "/{SEQ:5}")


def sum_of(request: bytes) -> bytes:
    """What a right server answers to the first request of these bytes."""
    return b"%d" % sum(int(number) for number in re.findall(rb"=(\d+)", request.split(b"\r\n")[0]))


def two(build: Build) -> tuple[Rig, bytes, bytes]:
    """Two connections and the sums of their requests, which differ."""
    rig = build(SUM, connections=2)
    rig.turn()
    first, second = (sum_of(rig.arrived(index)) for index in range(2))
    if first == second:  # One time in a million.
        return two(build)
    return rig, first, second


def test_every_connection_is_checked_for_its_own_values(build: Build) -> None:
    rig, first, second = two(build)
    rig.answer(0, response(first))
    rig.answer(1, response(second))
    rig.run_to("ok", 2)
    assert rig.failures() == {}


def test_a_server_that_answers_all_with_the_first_sum_is_wrong(build: Build) -> None:
    """A cache that does not look at the query must not be recognized as right."""
    rig, first, _ = two(build)
    rig.answer(0, response(first))
    rig.run_to("ok", 1)
    rig.answer(1, response(first))
    rig.run_to("responses", 2)
    assert (rig.engine.tally.ok, rig.failures()) == (1, {"wrong_body": 1})


def test_what_one_connection_has_learned_no_other_knows(build: Build) -> None:
    rig, first, second = two(build)
    rig.answer(0, response(first))
    rig.run_to("ok", 1)
    one, other = rig.engine.connections
    assert one.own == {response(first): 1}
    assert one.good is one.own
    assert (other.own, rig.engine.states[0].good, rig.engine.states[0].known) == ({}, {}, None)
    rig.answer(1, response(second))
    rig.run_to("ok", 2)
    assert other.own == {response(second): 1}


def test_a_right_answer_is_recognized_again_on_its_connection(build: Build) -> None:
    rig, first, _ = two(build)
    for count in (1, 2, 3):
        rig.answer(0, response(first))
        rig.run_to("ok", count)
    assert rig.failures() == {}
    rig.answer(0, response(b"0"))
    rig.run_to("responses", 4)
    assert rig.failures() == {"wrong_body": 1}


def test_the_values_stay_until_the_connection_is_opened_again(build: Build) -> None:
    rig = build(SUM)
    rig.turn()
    request = rig.arrived(0)
    rig.answer(0, response(sum_of(request)))
    rig.run_to("ok", 1)
    rig.turn()
    assert rig.arrived(0) == request
    rig.answer(0, response(sum_of(request), 200, b"Connection: close"))
    rig.run("warmup", lambda: len(rig.sockets) == 2)
    rig.turn()
    renewed = rig.arrived(1)
    assert renewed != request
    assert (rig.first.own, rig.first.known) == ({}, None)
    rig.answer(1, response(sum_of(request)))
    rig.run_to("responses", 3)
    assert rig.failures() == {"wrong_body": 1}


def test_a_farewell_with_values_is_never_known(build: Build) -> None:
    rig = build(SUM)
    rig.turn()
    rig.answer(0, response(sum_of(rig.arrived(0)), 200, b"Connection: close"))
    rig.run("warmup", lambda: len(rig.sockets) == 2)
    assert rig.engine.states[0].farewell is None


def test_counters_count_connections(build: Build) -> None:
    rig = build(COUNTED, connections=3)
    rig.turn()
    seen = [rig.arrived(index).split()[1] for index in range(3)]
    assert seen == [b"/5", b"/6", b"/7"]
    rig.answer(1, CLOSING)
    rig.run("warmup", lambda: len(rig.sockets) == 4)
    rig.turn()
    assert rig.arrived(3).split()[1] == b"/8"


def test_no_two_workers_count_the_same(build: Build) -> None:
    seen = []
    for first in range(2):
        rig = build(COUNTED, connections=6, plan={"first": first, "step": 2})
        rig.turn()
        seen += [rig.arrived(index).split()[1] for index in range(3)]
    assert sorted(seen) == sorted(b"/%d" % number for number in range(5, 11))


def test_a_connection_keeps_few_answers(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of connections, each with answers of its own."""
    monkeypatch.setattr(exchange, "OWN_LIMIT", 3)
    rig = build(COUNTED)
    for count in range(1, 20):
        rig.turn()
        rig.answer(0, response(b"ok", 200, b"X-Date: %d" % count))
        rig.run_to("ok", count)
    assert len(rig.first.own) <= 3
    assert rig.first.good is not NOTHING


def test_pipelined_requests_have_the_same_values(build: Build) -> None:
    rig = build(SUM, pipeline=4)
    rig.turn()
    requests = [line for line in rig.arrived(0).split(b"\r\n") if line.startswith(b"GET")]
    assert len(requests) == 4
    assert len(set(requests)) == 1
    right = response(sum_of(requests[0]))
    rig.answer(0, right * 4)
    rig.run_to("ok", 4)
    assert rig.first.own[right * 4] == 4
