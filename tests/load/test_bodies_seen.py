"""What a template tells of the bodies of its answers: how many different ones, and how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnose.load.connection import BODY_LOOKS, TemplateState
from diagnose.load.http1 import Response, parse_head
from diagnose.load.requests import prepare
from diagnose.model.load import MOST_DISTINCT
from diagnose.model.scenario import Expectation
from tests.load.rig import AUTHORITY, GET, Build, response

ANY_BODY = replace(GET, expect=Expectation())
HEAD = parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 2")


def state() -> TemplateState:
    return TemplateState(ANY_BODY, prepare(ANY_BODY, AUTHORITY))


def test_equal_bodies_are_one() -> None:
    seen = state()
    for _ in range(5):
        seen.look(Response(HEAD, b"same", 4))
    assert len(seen.body_digests) == 1
    assert (seen.parsed, seen.body_bytes, seen.body_looks) == (5, 20, 1)


def test_bodies_that_come_back_are_counted_once() -> None:
    seen = state()
    for body in (b"one", b"three", b"one", b"three"):
        seen.look(Response(HEAD, body, len(body)))
    assert len(seen.body_digests) == 2
    assert seen.body_bytes / seen.parsed == 4


def test_bodies_that_were_not_kept_count_for_the_length_only() -> None:
    seen = state()
    seen.look(Response(HEAD, None, 1_000_000))
    assert (seen.parsed, seen.body_bytes) == (1, 1_000_000)
    assert not seen.body_digests


def test_no_more_is_looked_at_than_is_needed() -> None:
    seen = state()
    for number in range(2 * BODY_LOOKS):
        seen.look(Response(HEAD, str(number).encode(), 1))
    assert len(seen.body_digests) == MOST_DISTINCT
    assert seen.body_looks == BODY_LOOKS


@pytest.mark.parametrize(("second", "distinct"), [(b"ok", 1), (b"no", 2)])
def test_right_and_wrong_answers_of_the_load_are_looked_at(
    build: Build, second: bytes, distinct: int
) -> None:
    rig = build(GET)
    rig.answer(0, response(b"ok"))
    rig.run_to("responses", 1)
    rig.answer(0, response(second))
    rig.run_to("responses", 2)
    assert len(rig.engine.states[0].body_digests) == distinct
