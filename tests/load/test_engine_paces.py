"""An open loop, a ramp, slow senders and slow readers, without waiting for them."""

from __future__ import annotations

import time

import pytest

from diagnose.load.pacing import Schedule
from diagnose.model.scenario import RequestTemplate
from tests.load.rig import GET, OK, UPLOAD, Build, Rig, response, wire

POST = RequestTemplate("post", "POST", "/", body="x" * 100)


def open_loop(
    build: Build, rate: float = 10.0, *, connections: int = 2, pipeline: int = 1, start: float = 0.0
) -> Rig:
    """Connections that are free, and a schedule whose first request is due at `start`."""
    rig = build(GET, connections=connections, pipeline=pipeline, rate=rate)
    engine = rig.engine
    engine._sending = True
    engine._schedule = Schedule(rate, start)
    engine._idle.extend(engine.connections)
    return rig


def requests(rig: Rig, index: int) -> int:
    return len(rig.arrived(index)) // len(wire(GET))


# -- the open loop -------------------------------------------------------------------------------


def test_nothing_is_sent_before_it_is_due(build: Build) -> None:
    rig = open_loop(build, start=50.0)
    rig.engine._dispatch(49.9)
    assert rig.engine.in_flight == 0
    assert rig.engine._wake == 50.0


def test_requests_are_sent_when_they_are_due_on_free_connections(build: Build) -> None:
    rig = open_loop(build)
    rig.engine._dispatch(0.0)
    assert [requests(rig, index) for index in range(2)] == [1, 0]
    assert rig.engine._wake == pytest.approx(0.1)
    rig.engine._dispatch(0.05)
    assert rig.engine.in_flight == 1
    rig.engine._dispatch(0.1)
    assert [requests(rig, index) for index in range(2)] == [0, 1]


def test_what_is_due_waits_for_a_free_connection(build: Build) -> None:
    rig = open_loop(build)
    rig.engine._dispatch(10.0)
    assert rig.engine.in_flight == 2
    assert rig.engine.overdue(10.0) == 99
    # There is nothing to wake up for as long as no connection is free.
    assert rig.engine._wake == float("inf")


def test_latency_starts_when_the_request_was_due(build: Build) -> None:
    """Else a server that stops would be asked less, and look fast."""
    rig = open_loop(build, connections=1)
    rig.engine._dispatch(3.0)
    assert rig.first.sent == 0.0
    rig.engine._received(rig.first, OK, 5.0)
    state = rig.engine.states[0]
    assert state.latencies == [5.0]
    # The answer made the connection free: the next one that is overdue goes out at once.
    assert rig.first.sent == pytest.approx(0.1)
    rig.engine._received(rig.first, OK, 5.5)
    assert state.latencies == pytest.approx([5.0, 5.4])


def test_a_connection_that_is_gone_gets_nothing(build: Build) -> None:
    rig = open_loop(build)
    rig.engine._forget(rig.first)
    rig.engine._dispatch(0.0)
    assert requests(rig, 1) == 1
    assert rig.engine._schedule is not None
    assert rig.engine._schedule.taken == 1


def test_free_connections_take_turns(build: Build) -> None:
    rig = open_loop(build, connections=3)
    for moment in range(9):
        rig.engine._dispatch(moment / 10 + 0.005)
        busy = next(each for each in rig.engine.connections if each.in_flight)
        assert busy.index == moment % 3
        rig.engine._received(busy, OK, moment / 10 + 0.01)
    assert rig.engine.overdue(0.8) == 0


def test_a_pipeline_is_filled_over_all_connections(build: Build) -> None:
    rig = open_loop(build, pipeline=2)
    rig.engine._dispatch(0.2)
    assert [connection.in_flight for connection in rig.engine.connections] == [2, 1]
    rig.engine._dispatch(100.0)
    assert [connection.in_flight for connection in rig.engine.connections] == [2, 2]


def test_a_free_connection_stands_in_the_row_once(build: Build) -> None:
    """Else the row grows with every answer, and the memory of the worker with it."""
    rig = open_loop(build, connections=2, pipeline=4)
    for moment in range(100):
        rig.engine._dispatch(moment / 10)
        for connection in rig.engine.connections:
            if connection.in_flight:
                rig.engine._received(connection, OK, moment / 10 + 0.01)
    assert len(rig.engine._idle) <= 2


def test_each_worker_takes_its_share(build: Build) -> None:
    rig = build(GET, connections=8, rate=1000.0, plan={"first": 1, "step": 4})
    rig.turn(1)
    schedule = rig.engine._schedule
    assert schedule is not None
    assert schedule._interval == pytest.approx(1 / 250)


def test_an_open_loop_runs_by_itself(build: Build) -> None:
    rig = build(GET, connections=4, rate=1e5)
    rig.run("warmup", lambda: rig.engine.in_flight == 4)
    for index in range(4):
        rig.answer(index)
    rig.run_to("ok", 4)
    assert rig.engine.overdue(time.monotonic()) > 0


def test_a_closed_loop_has_nothing_overdue(build: Build) -> None:
    assert build(GET).engine.overdue(time.monotonic() + 100) == 0


# -- the ramp ------------------------------------------------------------------------------------


def test_a_ramp_opens_nothing_before_the_load(build: Build) -> None:
    rig = build(GET, connections=3, ramp_s=1.0, connect=False)
    assert rig.engine.connect() == 0
    assert rig.sockets == []


def test_a_ramp_opens_connections_evenly(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = build(GET, connections=4, ramp_s=2.0, connect=False)
    spans: list[tuple[str, float]] = []
    monkeypatch.setattr(rig.engine, "run_until", lambda phase, end: spans.append((phase, end)))
    rig.engine.ramp()
    later = sorted(rig.engine._later, key=lambda entry: entry[:2])
    ((phase, end),) = spans
    began = end - 2.0
    assert phase == "ramp"
    assert [when - began for when, *_ in later] == pytest.approx([0.0, 0.5, 1.0, 1.5])
    rig.engine._sending = True
    rig.engine._open_due(began + 1.2)
    assert len(rig.sockets) == 3
    assert [requests(rig, index) for index in range(3)] == [1, 1, 1]
    # They never were open before: the first ones are no reconnects.
    assert rig.engine.tally.opens == 0


# -- slow senders and readers --------------------------------------------------------------------


def slow(build: Build, template: RequestTemplate = POST, **rates: float) -> Rig:
    rig = build(template, **rates)
    rig.engine._sending = True
    rig.engine._more(rig.first, 0.0)
    return rig


def test_a_slow_sender_sends_piece_by_piece(build: Build) -> None:
    rig = slow(build, send_rate=1000.0)
    whole = wire(POST)
    assert rig.arrived(0) == b""
    rig.engine._woken(rig.engine._wake)
    assert rig.arrived(0) == whole[:50]
    assert rig.engine._wake == pytest.approx(0.05)
    sent = whole[:50]
    while len(sent) < len(whole):
        rig.engine._woken(rig.engine._wake)
        piece = rig.arrived(0)
        assert 0 < len(piece) <= 50
        sent += piece
    assert sent == whole
    assert rig.engine._wake == float("inf")


def test_a_slow_body_from_a_file_follows_its_head(build: Build) -> None:
    rig = slow(build, UPLOAD, send_rate=100_000.0)
    whole, sent = wire(UPLOAD), b""
    for _ in range(20):
        rig.engine._woken(rig.engine._wake if rig.engine._wake < 100 else 100.0)
        piece = rig.arrived(0)
        assert len(piece) <= 5000
        sent += piece
    assert sent == whole
    assert rig.first.offset == -1


def test_an_answer_to_half_a_slow_request_is_early(build: Build) -> None:
    rig = slow(build, send_rate=1000.0)
    rig.engine._woken(0.0)
    rig.engine._received(rig.first, OK, 0.01)
    assert rig.engine.tally.early_answers == 1
    assert rig.first.pending


def test_a_slow_reader_reads_piece_by_piece(build: Build) -> None:
    rig = build(RequestTemplate("t", "GET", "/"), read_rate=1000.0)
    rig.engine._sending = True
    rig.engine._set_timer(0.0, rig.first, reading=True)
    rig.engine._more(rig.first, 0.0)
    answer = response(b"x" * 200)
    rig.answer(0, answer)
    moment, read = 0.0, []
    while not rig.engine.tally.responses:
        rig.engine._woken(moment)
        read.append(rig.engine.tally.bytes_received)
        moment = rig.engine._wake
    assert read[:3] == [50, 100, 150]
    assert read[-1] == len(answer)
    assert rig.engine.tally.ok == 1


def test_a_slow_reader_is_not_woken_by_what_has_arrived(build: Build) -> None:
    rig = build(GET, read_rate=1.0)
    rig.turn()
    rig.answer(0)
    rig.turn(5)
    assert rig.engine.tally.bytes_received <= len(OK)
    assert rig.engine.tally.events <= 1


def test_a_timer_of_a_connection_that_is_gone_does_nothing(build: Build) -> None:
    rig = slow(build, send_rate=1000.0)
    rig.engine._woken(0.0)
    rig.engine._reopen(rig.first, 0.02)
    rig.engine._woken(0.05)
    assert rig.arrived(1) in (b"", wire(POST)[:50])
    assert len(rig.arrived(0)) == 50
