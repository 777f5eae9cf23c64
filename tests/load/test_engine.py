"""The engine over socket pairs: depth, recognized answers, the wave of first bodies, the drain."""

from __future__ import annotations

import socket
import time

import pytest

from diagnose.load import engine as engine_module
from diagnose.load.connection import NOTHING
from diagnose.model.scenario import RequestTemplate
from tests.load.rig import GET, OK, PATIENCE_S, UPLOAD, Build, response, wire

# -- depth --------------------------------------------------------------------------------------


def test_as_many_requests_as_the_pipeline_holds(build: Build) -> None:
    rig = build(GET, pipeline=16)
    rig.run("warmup", lambda: rig.engine.in_flight == 16)
    assert rig.arrived(0) == wire(GET) * 16
    rig.answer(0, OK * 3)
    rig.run_to("responses", 3)
    assert rig.arrived(0) == wire(GET) * 3
    assert rig.engine.in_flight == 16


@pytest.mark.parametrize("templates", [(UPLOAD,), (GET, UPLOAD)], ids=["alone", "in_rotation"])
def test_bodies_from_a_file_are_never_pipelined(
    build: Build, templates: tuple[RequestTemplate, ...]
) -> None:
    """Such a body follows one head: a second head before it would be read as part of it."""
    rig = build(*templates, connections=2, pipeline=16)
    rig.run("warmup", lambda: rig.engine.tally.bytes_sent >= len(wire(UPLOAD)))
    assert rig.engine.in_flight == 2
    assert rig.arrived(1) == wire(UPLOAD)


def test_right_answers_of_one_kind_are_recognized(build: Build) -> None:
    rig = build(GET)
    for count in (1, 2, 3):
        rig.run("warmup", lambda: rig.engine.in_flight == 1)
        assert rig.arrived(0) == wire(GET)
        rig.answer(0)
        rig.run_to("ok", count)
    (state,) = rig.engine.states
    assert state.good == {OK: 1}
    assert (rig.engine.tally.bodies_checked, rig.engine.tally.failures) == (3, {})


def test_every_request_with_a_body_from_a_file_has_its_body(build: Build) -> None:
    """On the fast path a recognized answer is followed by the request's head alone."""
    rig = build(UPLOAD)
    for count in (1, 2, 3):
        rig.run_to("bytes_sent", count * len(wire(UPLOAD)))
        assert rig.arrived(0) == wire(UPLOAD)
        assert rig.first.good is NOTHING
        rig.answer(0)
        rig.run_to("ok", count)


def test_wrong_answers_are_never_recognized(build: Build) -> None:
    rig = build(GET)
    for count in (1, 2):
        rig.answer(0, OK.replace(b"ok", b"no"))
        rig.run_to("responses", count)
    assert rig.engine.states[0].good == {}
    assert rig.engine.tally.failures == {"wrong_body": 2}


# -- the wave -----------------------------------------------------------------------------------


def test_a_wave_holds_back_the_last_byte_of_every_body(build: Build) -> None:
    rig = build(UPLOAD, connections=3)
    engine, whole = rig.engine, wire(UPLOAD)
    assert engine.wave(time.monotonic() + PATIENCE_S) == 3
    assert rig.ticks[-1].phase == "wave"
    assert [rig.arrived(index) for index in range(3)] == [whole[:-1]] * 3
    assert engine.body_in_flight == 3 * (UPLOAD.body_length - 1)
    rests = iter(range(3))
    engine.rest(time.monotonic() + PATIENCE_S, lambda: next(rests) == 2)
    assert [rig.arrived(index) for index in range(3)] == [b""] * 3
    engine.release()
    rig.run_to("bytes_sent", 3 * len(whole))
    assert [rig.arrived(index) for index in range(3)] == [whole[-1:]] * 3
    rig.answer(1)
    rig.run_to("bytes_sent", 4 * len(whole))
    assert engine.tally.ok == 1
    assert rig.arrived(1) == whole


def test_a_server_that_reads_nothing_ends_the_wave(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing moves once the kernel's buffers are full."""
    large = RequestTemplate("large", "POST", "/", body_length=20_971_520)
    monkeypatch.setattr(engine_module, "WAVE_STALL_S", 0.0)
    rig = build(large, UPLOAD, connections=2)
    end = time.monotonic() + PATIENCE_S
    assert rig.engine.wave(end) == 1
    assert time.monotonic() < end
    assert 0 < rig.engine.body_in_flight < large.body_length


def test_an_answer_to_a_held_body_is_early(build: Build) -> None:
    rig = build(UPLOAD, connections=2)
    assert rig.engine.wave(time.monotonic() + PATIENCE_S) == 2
    rig.answer(0)
    rig.engine.rest(time.monotonic() + PATIENCE_S, lambda: rig.engine.tally.ok == 1)
    assert rig.engine.tally.early_answers == 1
    assert rig.engine.in_flight == 1
    rig.engine.release()
    whole = wire(UPLOAD)
    rig.run_to("bytes_sent", 3 * len(whole))
    assert rig.arrived(0) == whole * 2
    assert rig.arrived(1) == whole


# -- the drain ----------------------------------------------------------------------------------


def test_draining_waits_for_what_is_in_flight_and_sends_nothing(build: Build) -> None:
    rig = build(GET, connections=2)
    rig.run("window", lambda: rig.engine.in_flight == 2)
    rig.answer(0)
    rig.run_to("ok", 1)
    assert OK in rig.engine.states[0].good
    assert [rig.arrived(index) for index in range(2)] == [wire(GET) * 2, wire(GET)]
    rig.answer(0)
    rig.answer(1, response(b"ok", 503))
    last = rig.engine.mark(time.monotonic())
    drain_s, progress = rig.engine.drain(time.monotonic() + PATIENCE_S)
    assert drain_s < PATIENCE_S
    assert progress
    assert (rig.engine.in_flight, rig.engine.late) == (0, 2)
    assert rig.engine.tally.failures - last.failures == {"wrong_status": 1}
    assert [rig.arrived(index) for index in range(2)] == [b""] * 2


def test_connections_that_end_while_draining_are_failures_of_the_drain(build: Build) -> None:
    rig = build(GET, connections=2)
    rig.run("window", lambda: rig.engine.in_flight == 2)
    last = rig.engine.mark(time.monotonic())
    for paired in rig.sockets:
        paired.server.shutdown(socket.SHUT_WR)
    rig.engine.drain(time.monotonic() + PATIENCE_S)
    assert rig.engine.tally.failures - last.failures == {"closed_before_response": 2}
    assert (rig.engine.in_flight, rig.engine.established, len(rig.sockets)) == (0, 0, 2)
