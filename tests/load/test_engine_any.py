"""Requests that may get any answer: what comes is right, and so is what does not."""

from __future__ import annotations

import time

import pytest

from diagnose.model.scenario import Answer, Expectation, RequestTemplate
from tests.load.rig import ANY, CLOSING, GET, OK, Build, response, wire

BROKEN = RequestTemplate(
    "broken", "RAW", "/", raw=b"\x00\x01garbage", expect=Expectation(answer=Answer.ANY)
)


@pytest.mark.parametrize("status", [200, 302, 400, 404, 500])
def test_any_status_is_tolerated(build: Build, status: int) -> None:
    rig = build(BROKEN)
    rig.turn()
    assert rig.arrived(0) == BROKEN.raw
    rig.answer(0, response(b"what", status))
    rig.run_to("responses", 1)
    assert rig.engine.tally.tolerated == 1
    assert (rig.engine.tally.ok, rig.failures()) == (0, {})
    assert rig.engine.tally.status_classes == {f"{status // 100}xx": 1}
    rig.turn()
    assert rig.arrived(0) == BROKEN.raw


def test_a_2xx_to_nonsense_is_no_right_response(build: Build) -> None:
    """The leaderboard counts 2xx; a request that is broken on purpose earns none."""
    rig = build(ANY)
    rig.turn()
    rig.answer(0)
    rig.run_to("responses", 1)
    assert (rig.engine.tally.ok, rig.engine.tally.tolerated) == (0, 1)


def test_a_refusal_that_closes(build: Build) -> None:
    rig = build(BROKEN)
    rig.turn()
    rig.answer(0, CLOSING.replace(b"200", b"400"))
    rig.run("warmup", lambda: len(rig.sockets) == 2)
    assert rig.failures() == {}
    assert (rig.engine.tally.server_closes, rig.engine.tally.close_announced) == (0, 0)
    rig.turn()
    assert rig.arrived(1) == BROKEN.raw


def test_a_close_without_an_answer(build: Build) -> None:
    rig = build(BROKEN)
    rig.turn()
    rig.end(0)
    rig.run("warmup", lambda: len(rig.sockets) == 2)
    assert (rig.failures(), rig.engine.tally.tolerated) == ({}, 1)
    assert rig.engine.tally.server_closes == 0
    # Opened again at once: a server that ends such connections does what it should.
    assert rig.engine.tally.opens == 1


def test_a_reset(build: Build) -> None:
    rig = build(BROKEN)
    rig.turn()
    rig.reset(0)
    rig.run("warmup", lambda: len(rig.sockets) == 2)
    assert (rig.failures(), rig.engine.tally.tolerated) == ({}, 1)


def test_an_answer_that_is_not_http(build: Build) -> None:
    rig = build(BROKEN)
    rig.turn()
    rig.answer(0, b"go away\r\n")
    rig.run("warmup", lambda: len(rig.sockets) == 2)
    assert (rig.failures(), rig.engine.tally.tolerated) == ({}, 1)


def test_half_an_answer(build: Build) -> None:
    rig = build(BROKEN)
    rig.turn()
    rig.answer(0, OK[:20])
    rig.turn()
    rig.end(0)
    rig.run("warmup", lambda: len(rig.sockets) == 2)
    assert (rig.failures(), rig.engine.tally.tolerated) == ({}, 1)


def test_a_body_that_lasts_until_the_end(build: Build) -> None:
    rig = build(BROKEN)
    rig.turn()
    rig.answer(0, b"HTTP/1.0 400 No\r\n\r\nno such thing")
    rig.turn()
    rig.end(0)
    rig.run_to("responses", 1)
    assert (rig.failures(), rig.engine.tally.tolerated) == ({}, 1)
    assert rig.engine.tally.server_closes == 0


def test_silence_is_no_failure(build: Build) -> None:
    rig = build(BROKEN, timeout_s=0.5)
    rig.turn()
    rig.engine._scan(time.monotonic() + 100.0)
    assert rig.failures() == {}
    rig.engine._tick(time.monotonic())
    assert (rig.ticks[-1].in_flight, rig.ticks[-1].stalled) == (0, 0)
    assert rig.engine.oldest_stall(time.monotonic() + 100.0) == 0.0


def test_silence_where_an_answer_is_required_is_one(build: Build) -> None:
    rig = build(GET, timeout_s=0.5)
    rig.turn()
    rig.engine._scan(time.monotonic() + 100.0)
    rig.engine._scan(time.monotonic() + 200.0)
    assert rig.failures() == {"timeout": 1}
    rig.engine._tick(time.monotonic())
    assert (rig.ticks[-1].in_flight, rig.ticks[-1].stalled) == (1, 1)
    assert rig.engine.oldest_stall(time.monotonic() + 100.0) > 99.0


def test_nothing_is_waited_for_at_the_end(build: Build) -> None:
    """The drain is over when all that must be answered is."""
    rig = build(GET, BROKEN, connections=2)
    rig.run("window", lambda: rig.engine.in_flight == 1)
    rig.answer(0)
    end = time.monotonic() + 5.0
    drained_s, _ = rig.engine.drain(end)
    assert time.monotonic() < end
    assert drained_s < 5.0
    assert (rig.engine.in_flight, rig.failures()) == (0, {})


def test_what_it_took_is_not_in_the_latency_of_the_moment(build: Build) -> None:
    rig = build(GET, BROKEN, connections=2)
    rig.turn()
    rig.answer(1)
    rig.run_to("responses", 1)
    assert sum(tick.slice_count for tick in rig.ticks) == 0
    rig.answer(0)
    rig.run_to("responses", 2)
    assert sum(tick.slice_count for tick in rig.ticks) == 1


def test_good_requests_beside_it_are_as_strict_as_ever(build: Build) -> None:
    rig = build(GET, BROKEN, connections=2)
    rig.turn()
    rig.answer(0, response(b"no"))
    rig.answer(1, response(b"no"))
    rig.run_to("responses", 2)
    assert rig.failures() == {"wrong_body": 1}


def test_the_rotation_goes_on_with_the_next_request(build: Build) -> None:
    rig = build(GET, BROKEN)
    rig.turn()
    assert rig.arrived(0) == wire(GET)
    rig.answer(0, CLOSING)
    rig.run("warmup", lambda: len(rig.sockets) == 2)
    rig.turn()
    assert rig.arrived(1) == BROKEN.raw
    rig.end(1)
    rig.run("warmup", lambda: len(rig.sockets) == 3)
    rig.turn()
    assert rig.arrived(2) == wire(GET)
