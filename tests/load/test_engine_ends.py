"""How connections end: asked for, announced, cut off; and what is early or hangs."""

from __future__ import annotations

import errno
import time

import pytest

from diagnose.load.connection import NOTHING
from diagnose.load.opening import RETRY_S
from diagnose.model.scenario import RequestTemplate, Sending
from tests.load.rig import CLOSING, GET, OK, UPLOAD, Build, Rig, response, wire

OTHER = RequestTemplate("other", "GET", "/other")
BROKEN_PIPE = BrokenPipeError(errno.EPIPE, "Broken pipe")


def opened(rig: Rig, count: int) -> None:
    """Run until so many connections were opened in all."""
    rig.run("warmup", lambda: len(rig.sockets) == count)


# -- requests per connection ---------------------------------------------------------------------


@pytest.mark.parametrize("pipeline", [1, 2, 16])
@pytest.mark.parametrize("limit", [1, 3, 10])
def test_the_client_closes_after_its_requests(build: Build, pipeline: int, limit: int) -> None:
    rig = build(GET, OTHER, pipeline=pipeline, requests_per_connection=limit)
    for index, template in enumerate((GET, OTHER, GET)):
        seen = 0
        while seen < limit:
            rig.turn()
            arrived = rig.arrived(index)
            count = len(arrived) // len(wire(template))
            assert arrived == wire(template) * count
            assert 0 < count <= min(pipeline, limit - seen)
            rig.answer(index, OK * count)
            seen += count
        opened(rig, index + 2)
        assert rig.sockets[index].server.recv(1) == b""
    assert rig.engine.tally.ok == 3 * limit
    assert (rig.engine.tally.server_closes, rig.failures()) == (0, {})
    assert rig.engine.tally.opens == 3


def test_a_request_that_stands_several_times_in_the_rotation(build: Build) -> None:
    """Three sums, then another: each opening takes the next place, the same request or not."""
    rig = build(GET, GET, GET, OTHER, requests_per_connection=1)
    seen = []
    for index in range(9):
        rig.turn()
        seen.append(rig.arrived(index))
        rig.answer(index)
        opened(rig, index + 2)
    assert seen == [wire(each) for each in (GET, GET, GET, OTHER) * 2 + (GET,)]


@pytest.mark.parametrize("answer", [OK, CLOSING], ids=["by_the_client", "announced"])
def test_kinds_take_turns_when_connections_are_opened_again(build: Build, answer: bytes) -> None:
    rig = build(GET, UPLOAD, OTHER, requests_per_connection=1)
    seen = []
    for index in range(6):
        rig.turn(6)
        seen.append(rig.arrived(index))
        rig.answer(index, answer)
        opened(rig, index + 2)
    assert seen == [wire(each) for each in (GET, UPLOAD, OTHER) * 2]
    assert rig.engine.tally.ok == 6


def test_an_upload_connection_closes_after_its_requests(build: Build) -> None:
    rig = build(UPLOAD, requests_per_connection=2)
    for count in (1, 2):
        rig.run_to("bytes_sent", count * len(wire(UPLOAD)))
        rig.answer(0)
        rig.run_to("ok", count)
    opened(rig, 2)
    assert rig.engine.body_in_flight in (0, UPLOAD.body_length)


# -- the server ends it --------------------------------------------------------------------------


def test_an_announced_end(build: Build) -> None:
    rig = build(GET, OTHER)
    rig.turn()
    rig.answer(0, CLOSING)
    opened(rig, 2)
    tally = rig.engine.tally
    assert (tally.server_closes, tally.close_announced, tally.opens) == (1, 1, 1)
    rig.turn()
    assert rig.arrived(1) == wire(OTHER)
    assert (tally.ok, rig.failures()) == (1, {})


def test_what_was_pipelined_behind_an_announced_end_is_no_failure(build: Build) -> None:
    rig = build(GET, pipeline=4)
    rig.turn()
    rig.answer(0, OK + CLOSING)
    opened(rig, 2)
    tally = rig.engine.tally
    assert (tally.responses, tally.unanswered_at_close, rig.failures()) == (2, 2, {})
    rig.run("warmup", lambda: rig.engine.in_flight == 4)


def test_an_end_that_both_wanted_is_not_the_servers(build: Build) -> None:
    rig = build(GET, requests_per_connection=1)
    rig.turn()
    rig.answer(0, CLOSING)
    opened(rig, 2)
    assert rig.engine.tally.server_closes == 0


def test_a_body_until_the_end(build: Build) -> None:
    rig = build(GET)
    rig.turn()
    rig.answer(0, b"HTTP/1.1 200 OK\r\n\r\nok")
    rig.turn()
    rig.end(0)
    opened(rig, 2)
    tally = rig.engine.tally
    assert (tally.ok, tally.server_closes, tally.close_announced) == (1, 1, 1)


@pytest.mark.parametrize(
    ("sent", "kind"),
    [(b"", "closed_before_response"), (OK[:20], "closed_in_response"), (OK[:-1], "closed_in_resp")],
)
def test_an_end_instead_of_an_answer(build: Build, sent: bytes, kind: str) -> None:
    rig = build(GET)
    rig.turn()
    rig.answer(0, sent)
    rig.turn()
    rig.end(0)
    opened(rig, 2)
    ((seen, count),) = rig.failures().items()
    assert seen.startswith(kind)
    assert count == 1


@pytest.mark.parametrize(
    ("sent", "kind"), [(b"", "reset_before_response"), (OK[:20], "reset_in_response")]
)
def test_a_reset_instead_of_an_answer(build: Build, sent: bytes, kind: str) -> None:
    rig = build(GET)
    rig.turn()
    rig.answer(0, sent)
    rig.turn()
    rig.reset(0)
    opened(rig, 2)
    assert rig.failures() == {kind: 1}
    assert "reset" in rig.engine.tally.examples[kind].detail


def test_every_pipelined_request_is_lost_with_its_connection(build: Build) -> None:
    rig = build(GET, pipeline=4)
    rig.turn()
    rig.answer(0)
    rig.run_to("ok", 1)
    rig.turn()
    rig.end(0)
    opened(rig, 2)
    assert rig.failures() == {"closed_before_response": 4}
    assert rig.engine.tally.server_closes == 1


def test_an_end_between_requests_is_no_failure(build: Build) -> None:
    rig = build(GET)
    rig.turn()
    rig.answer(0)
    rig.run_to("ok", 1)
    rig.engine.drain(time.monotonic() + 0.0)
    rig.answer(0)
    rig.engine.drain(time.monotonic() + 1.0)
    rig.end(0)
    rig.engine._received(rig.first, b"", 0.0)
    assert rig.failures() == {}


def test_a_server_that_ends_connections_unserved_is_not_flooded(build: Build) -> None:
    rig = build(GET)
    rig.turn()
    rig.end(0)
    rig.run("warmup", lambda: bool(rig.failures()))
    assert len(rig.sockets) == 1
    ((when, *_, first),) = rig.engine._later
    assert when <= time.monotonic() + RETRY_S
    assert not first


def test_a_connection_that_ends_before_the_load_comes_back_with_it(build: Build) -> None:
    rig = build(GET)
    rig.end(0)
    rig.engine._poll(0.0)
    assert rig.engine.established == 0
    opened(rig, 2)
    rig.turn()
    assert rig.arrived(1) == wire(GET)
    assert rig.failures() == {}


@pytest.mark.parametrize(
    "data", [b"hello\r\n\r\n", OK + b"x", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
)
def test_what_is_not_framed(build: Build, data: bytes) -> None:
    rig = build(GET)
    rig.turn()
    rig.answer(0, data)
    rig.run("warmup", lambda: bool(rig.failures()))
    assert rig.failures() == {"bad_framing": 1}
    opened(rig, 2)


# -- early answers -------------------------------------------------------------------------------


def held(build: Build, **options: int) -> Rig:
    """An upload whose last byte is held back."""
    rig = build(UPLOAD, **options)
    assert rig.engine.wave(time.monotonic() + 5.0) == 1
    return rig


def test_an_answer_before_the_body_is_sent_is_early(build: Build) -> None:
    rig = held(build)
    rig.answer(0)
    rig.run_to("responses", 1)
    assert (rig.engine.tally.early_answers, rig.engine.tally.ok) == (1, 1)
    assert rig.first.good is NOTHING
    rig.engine.release()
    rig.run_to("bytes_sent", 2 * len(wire(UPLOAD)))
    assert rig.arrived(0) == wire(UPLOAD) * 2
    assert rig.engine.body_in_flight == UPLOAD.body_length


def test_an_answer_after_the_body_is_not(build: Build) -> None:
    rig = build(UPLOAD)
    rig.run_to("bytes_sent", len(wire(UPLOAD)))
    rig.answer(0)
    rig.run_to("ok", 1)
    assert rig.engine.tally.early_answers == 0


def test_an_early_refusal_that_closes(build: Build) -> None:
    rig = held(build)
    rig.answer(0, response(b"", 413, b"Connection: close"))
    opened(rig, 2)
    tally = rig.engine.tally
    assert (tally.early_answers, tally.close_announced) == (1, 1)
    assert rig.failures() == {"wrong_status": 1}
    assert rig.engine.body_in_flight <= UPLOAD.body_length


@pytest.mark.parametrize("sending", [Sending.HEAD, Sending.HALF])
def test_an_answer_to_a_part_of_a_request(build: Build, sending: Sending) -> None:
    """All that the template wants is sent: such an answer is not early."""
    part = RequestTemplate("part", "POST", "/", body="0123456789", sending=sending)
    rig = build(part)
    rig.turn()
    assert rig.arrived(0).endswith(b"\r\n\r\n" if sending is Sending.HEAD else b"\r\n\r\n01234")
    rig.answer(0)
    rig.run_to("ok", 1)
    assert rig.engine.tally.early_answers == 0


# -- times ---------------------------------------------------------------------------------------


def test_a_hung_request_is_counted_once(build: Build) -> None:
    rig = build(GET, timeout_s=2.0)
    rig.turn()
    sent = rig.first.sent
    rig.engine._scan(sent + 1.9)
    assert rig.failures() == {}
    for later in (2.1, 3.0, 60.0):
        rig.engine._scan(sent + later)
    assert rig.failures() == {"timeout": 1}
    assert "no byte moved for 2.1 s" in rig.engine.tally.examples["timeout"].detail


def test_a_connection_that_never_stands_is_given_up(build: Build) -> None:
    rig = build(GET, timeout_s=2.0)
    rig.first.connected = False
    rig.engine._scan(rig.first.opened + 2.1)
    assert rig.failures() == {"connect_timeout": 1}
    assert rig.engine.connections[0].sock is None


def test_the_first_byte_of_a_long_answer(build: Build) -> None:
    rig = build(GET)
    rig.engine._sending = True
    rig.engine._refill(rig.first, 1, 1.0)
    sent = rig.first.sent
    rig.engine._received(rig.first, OK[:10], sent + 2.0)
    rig.engine._received(rig.first, OK[10:20], sent + 3.0)
    rig.engine._received(rig.first, OK[20:], sent + 4.0)
    state = rig.engine.states[0]
    assert (state.first_bytes, state.latencies) == ([2.0], [4.0])


def test_the_last_byte_of_a_body(build: Build) -> None:
    rig = build(UPLOAD)
    rig.engine._sending = True
    rig.engine._more(rig.first, 7.0)
    assert len(rig.engine.states[0].body_sents) == 1


def test_a_send_error_is_told_as_one(build: Build) -> None:
    rig = build(GET)
    rig.turn()
    rig.engine._broken(rig.first, BROKEN_PIPE, time.monotonic())
    assert rig.failures() == {"reset_while_sending": 1}


def test_an_answer_that_came_before_the_send_error_counts(build: Build) -> None:
    rig = build(GET)
    rig.turn()
    rig.answer(0, CLOSING)
    rig.engine._broken(rig.first, BROKEN_PIPE, time.monotonic())
    assert (rig.engine.tally.ok, rig.failures()) == (1, {})
