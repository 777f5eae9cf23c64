"""When an answer may be taken by its bytes alone, and when it must be looked at."""

from __future__ import annotations

import pytest

from diagnose.load import exchange
from diagnose.load.connection import NOTHING
from diagnose.load.pacing import Schedule
from diagnose.model.scenario import Expectation, RequestTemplate
from tests.load.rig import ANY, CLOSING, GET, OK, UPLOAD, Build, Rig, response, wire

OTHER = response(b"ok", 200, b"X-Other: 1")
JSON = RequestTemplate("json", "GET", "/", expect=Expectation(items=0))


def served(build: Build, *templates: RequestTemplate, times: int = 1, **options: object) -> Rig:
    """A connection that was answered so often, with the next request under way."""
    rig = build(*(templates or (GET,)), **options)
    for count in range(1, times + 1):
        rig.turn()
        rig.answer(0)
        rig.run_to("responses", count)
    return rig


def test_a_connection_is_fast_after_a_right_answer(build: Build) -> None:
    rig = served(build)
    assert rig.first.good is rig.first.own is rig.engine.states[0].good
    assert rig.first.good == {OK: 1}


def test_every_right_form_is_known(build: Build) -> None:
    rig = served(build)
    for count, form in enumerate((OTHER, OK, OTHER), start=2):
        rig.answer(0, form)
        rig.run_to("ok", count)
    assert rig.engine.states[0].good == {OK: 1, OTHER: 1}


def test_an_answer_in_two_pieces_is_parsed_and_not_learned(build: Build) -> None:
    rig = served(build)
    rig.answer(0, OTHER[:20])
    rig.turn()
    assert rig.first.good is NOTHING
    rig.answer(0, OTHER[20:])
    rig.run_to("ok", 2)
    assert rig.engine.states[0].good == {OK: 1}
    assert rig.first.good is rig.first.own


def test_the_end_of_one_answer_is_not_taken_for_a_whole_one(build: Build) -> None:
    """The bytes of a whole answer may be the body of another."""
    inside = response(OK, 200)
    head = inside[: -len(OK)]
    rig = served(build, RequestTemplate("get", "GET", "/"))
    rig.answer(0, head)
    rig.turn()
    rig.answer(0, OK)
    rig.run_to("responses", 2)
    assert (rig.engine.in_flight, rig.failures()) == (1, {})
    assert rig.engine.tally.bytes_received == len(OK) + len(inside)


def test_two_answers_to_one_request(build: Build) -> None:
    """The second one is nobody's: recognized bytes are counted against what is in flight."""
    rig = served(build)
    rig.arrived(0)
    rig.answer(0, OK * 2)
    rig.run("warmup", lambda: bool(rig.failures()))
    assert rig.failures() == {"bad_framing": 1}


@pytest.mark.parametrize("depth", [2, 16])
def test_pipelined_answers_in_one_read(build: Build, depth: int) -> None:
    rig = build(GET, pipeline=depth)
    for count in (1, 2, 3):
        rig.turn()
        rig.answer(0, OK * depth)
        rig.run_to("ok", depth * count)
    assert rig.engine.states[0].good[OK * depth] == depth
    assert rig.engine.in_flight == depth
    assert rig.engine.states[0].histogram.samples == 3 * depth
    assert rig.arrived(0) == wire(GET) * depth * 4


def test_a_request_that_was_not_taken_whole_is_finished_first(build: Build) -> None:
    rig = served(build)
    rig.engine._pend(rig.first, b"rest")
    assert rig.first.good is NOTHING
    rig.run_to("bytes_sent", 2 * len(wire(GET)) + len(b"rest"))
    rig.turn()
    assert rig.first.good is rig.first.own
    assert rig.arrived(0) == wire(GET) * 2 + b"rest"


def settled(rig: Rig) -> bool:
    """Whether the fast path would serve the first connection now."""
    rig.engine._settle(rig.first)
    return rig.first.good is rig.first.own


def test_a_connection_between_requests_is_settled(build: Build) -> None:
    rig = served(build)
    assert settled(rig)


@pytest.mark.parametrize(
    ("name", "value"), [("offset", 0), ("offset", 7), ("pending", b"x"), ("upgrading", b"")]
)
def test_what_is_under_way_is_not_settled(build: Build, name: str, value: object) -> None:
    rig = served(build)
    setattr(rig.first, name, value)
    assert not settled(rig)


def test_half_an_answer_is_not_settled(build: Build) -> None:
    rig = served(build)
    rig.first.parser.feed(b"HTTP/1.1 200")
    assert not settled(rig)


def test_nothing_is_settled_while_draining(build: Build) -> None:
    rig = served(build)
    rig.answer(0)
    rig.engine.drain(0.0)
    assert rig.first.good is NOTHING
    assert not settled(rig)


@pytest.mark.parametrize(
    "options",
    [{"rate": 1000.0}, {"send_rate": 1e6}, {"read_rate": 1e6}],
    ids=lambda options: next(iter(options)),
)
def test_only_a_closed_loop_at_full_speed_is_settled(
    build: Build, options: dict[str, float]
) -> None:
    """Where the next request is not due at once, or goes out in pieces."""
    rig = build(GET, **options)
    rig.engine._sending = True
    assert rig.first.connected
    assert not settled(rig)
    assert settled(build(GET)) is False
    rig.engine._schedule = Schedule(1.0, 0.0)
    assert not settled(rig)


def test_a_body_from_a_file_is_never_settled(build: Build) -> None:
    """The fast path sends the head alone: the server would wait for the body forever."""
    rig = build(UPLOAD)
    rig.run_to("bytes_sent", len(wire(UPLOAD)))
    assert rig.first.offset == -1
    assert not settled(rig)


@pytest.mark.parametrize("length", [20_000, 64 * 1024, 150_000, 1 << 20])
def test_a_body_follows_every_head(build: Build, length: int) -> None:
    """Bodies that fit in the kernel's buffer are sent whole before the answer is read."""
    upload = RequestTemplate("u", "POST", "/", body_length=length)
    rig = build(upload)
    for count in (1, 2, 3):
        seen = bytearray()

        def whole(seen: bytearray = seen) -> bool:
            seen += rig.arrived(0)
            return len(seen) >= len(wire(upload))

        rig.run("warmup", whole)
        assert seen == wire(upload)
        rig.answer(0)
        rig.run_to("ok", count)


# -- what is never learned -----------------------------------------------------------------------

NEVER = {
    "wrong": (GET, response(b"no")),
    "another_status": (
        RequestTemplate("t", "GET", "/", expect=Expectation(status=(404,))),
        response(b"", 404),
    ),
    "anything": (ANY, OK),
}


@pytest.mark.parametrize(("template", "answer"), NEVER.values(), ids=NEVER.keys())
def test_never_learned(build: Build, template: RequestTemplate, answer: bytes) -> None:
    rig = build(template)
    for count in (1, 2, 3):
        rig.turn()
        rig.answer(0, answer)
        rig.run_to("responses", count)
    assert rig.engine.states[0].good == {}
    assert rig.engine.states[0].known is None
    assert rig.engine.states[0].responses == 3


def test_a_long_answer_is_compared_and_not_hashed(build: Build) -> None:
    rig = build(RequestTemplate("t", "GET", "/", expect=Expectation(body="x" * 3000)))
    long = response(b"x" * 3000)
    for count in (1, 2, 3):
        rig.turn()
        rig.answer(0, long)
        rig.run_to("ok", count)
    assert rig.first.latest == long
    assert rig.engine.states[0].good == {}
    rig.answer(0, long[:-1] + b"y")
    rig.run("warmup", lambda: bool(rig.failures()))
    assert rig.failures() == {"wrong_body": 1}


def test_json_that_was_checked_is_known_when_it_comes_again(build: Build) -> None:
    rig = build(JSON)
    right = response(b'{"items":[],"count":0}')
    for count in (1, 2, 3):
        rig.turn()
        rig.answer(0, right)
        rig.run_to("ok", count)
    assert rig.engine.states[0].good == {right: 1}
    assert rig.engine.tally.bodies_checked == 3


def test_json_that_was_not_checked_is_not_known(build: Build) -> None:
    """Else one wrong answer between two checks would make all of its kind right."""
    rig = build(JSON)
    rig.engine.states[0].responses = exchange.CHECK_FIRST
    rig.engine.states[0].checked_at = float("inf")
    rig.turn()
    rig.answer(0, response(b"not checked"))
    rig.run_to("responses", 1)
    assert rig.failures() == {}
    assert rig.engine.states[0].good == {}
    assert rig.engine.states[0].known is None


def test_new_json_is_checked_when_the_last_check_was_long_ago(build: Build) -> None:
    rig = build(JSON)
    rig.engine.states[0].responses = exchange.CHECK_FIRST
    rig.engine.states[0].checked_at = float("-inf")
    rig.turn()
    rig.answer(0, response(b"no JSON"))
    rig.run_to("responses", 1)
    assert rig.failures() == {"wrong_body": 1}


def test_a_right_farewell_is_known_when_it_comes_again(build: Build) -> None:
    rig = build(GET)
    for count in (1, 2, 3):
        rig.turn()
        rig.answer(count - 1, CLOSING)
        rig.run_to("ok", count)
    tally = rig.engine.tally
    assert rig.engine.states[0].farewell == CLOSING
    assert (tally.server_closes, tally.close_announced, tally.opens) == (3, 3, 3)
    assert tally.bodies_checked == 3


@pytest.mark.parametrize(
    "answer",
    [CLOSING.replace(b"ok", b"no"), b"HTTP/1.0 200 OK\r\n\r\nok", CLOSING.replace(b"200", b"201")],
    ids=["wrong", "until_the_end", "right"],
)
def test_only_a_right_farewell_that_is_whole_is_known(build: Build, answer: bytes) -> None:
    rig = build(GET)
    rig.turn()
    rig.answer(0, answer)
    rig.end(0)
    rig.run("warmup", lambda: len(rig.sockets) == 2)
    assert rig.engine.states[0].farewell == (answer if b" 201 " in answer else None)


def test_what_is_learned_is_bounded(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with a date to the microsecond never repeats itself."""
    monkeypatch.setattr(exchange, "KNOWN_LIMIT", 4)
    rig = build(GET)
    for count in range(1, 30):
        rig.turn()
        rig.answer(0, response(b"ok", 200, b"X-Date: %d" % count))
        rig.run_to("ok", count)
    assert len(rig.engine.states[0].good) <= 4
    assert len(rig.engine.states[0].heads) <= 6


def test_new_bodies_that_are_looked_into_are_checked_for_a_share(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "CHECK_S", float("inf"))
    rig = build(JSON)
    for count in range(1, 70):
        rig.turn(1)
        rig.answer(0, response(b'{"items":[],"count":0,"at":%d}' % count))
        rig.run_to("responses", count)
    assert rig.engine.tally.bodies_checked == exchange.CHECK_FIRST + 1
    assert rig.engine.tally.ok == 69


def test_every_body_must_be_the_first_one(build: Build) -> None:
    rig = build(RequestTemplate("t", "GET", "/", expect=Expectation(same=True)))
    for count, body in enumerate((b"first", b"first", b"other", b"first"), start=1):
        rig.turn()
        rig.answer(0, response(body))
        rig.run_to("responses", count)
    assert rig.failures() == {"wrong_body": 1}
    assert rig.engine.tally.ok == 3
