"""The requests of any scenario as checks."""

from __future__ import annotations

import random
import re

import pytest

from diagnose.load.validation import runner, templates
from diagnose.load.validation.check import Asking, Check, Target, Way
from diagnose.load.validation.runner import Prober
from diagnose.load.websocket import text_frame
from diagnose.model.scenario import (
    Answer,
    Expectation,
    Protocol,
    RequestTemplate,
    Scenario,
    Sending,
)
from diagnose.model.validation import Outcome
from diagnose.websocket import ACCEPT
from tests.load.lines import Answers, FakeLine, pass_time
from tests.load.rig import GET, OK, UPLOAD, response, wire

AUTHORITY = "127.0.0.1:8080"
POST = RequestTemplate(
    "post", "POST", "/?a={RAND:10:99}", body="{RAND:10:99}", expect=Expectation(sum=True)
)
ECHO = RequestTemplate("echo", "GET", "/ws", body="hello")
ANY = RequestTemplate("any", "RAW", "/", raw=b"\x00\x01", expect=Expectation(answer=Answer.ANY))
HALF = RequestTemplate("half", "POST", "/", body="0123456789", sending=Sending.HALF)
AGREED = b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: " + ACCEPT.encode() + b"\r\n\r\n"


@pytest.fixture(autouse=True)
def _lines(monkeypatch: pytest.MonkeyPatch) -> None:
    pass_time(monkeypatch)
    monkeypatch.setattr(runner, "Line", FakeLine)


def checks(*chosen: RequestTemplate, **options: object) -> tuple[Check, ...]:
    return templates.checks(Scenario("mine", "", "", chosen, (1,), **options))  # type: ignore[arg-type]


def ask(server: Answers, made: tuple[Check, ...]) -> list[str]:
    FakeLine.server = staticmethod(server)
    prober = Prober(Target("127.0.0.1", {Way.HTTP: 8080}), 5.0, random.Random(1))
    return [prober.run(check).outcome.value for check in made]


def test_each_is_asked_in_three_forms() -> None:
    made = checks(GET, GET)
    assert [check.id for check in made] == [
        *("mine/get", "mine/get-again-on-the-connection", "mine/get-in-pieces"),
    ]
    assert ask(lambda data: [OK] * data.count(wire(GET)), made) == ["pass"] * 3
    assert [len(line.sent) for line in FakeLine.lines] == [1, 2, 4]
    assert {check.endpoint for check in made} == {"/"}


def test_a_wrong_answer_fails() -> None:
    assert (
        ask(lambda data: [response(b"no")] * data.count(b"\r\n\r\n"), checks(GET)) == ["fail"] * 3
    )


def test_values_are_drawn_and_their_sum_is_expected() -> None:
    def plans(check: Check) -> set[bytes]:
        asking = Asking(random.Random(), AUTHORITY)
        return {check.plan(asking).asked[0].pieces[0].data for _ in range(20)}

    made = checks(POST)
    assert len(plans(made[0])) > 1

    def server(data: bytes) -> list[bytes | OSError | None]:
        whole = [part for part in data.split(b"POST ")[1:] if re.search(rb"\r\n\r\n\d\d\Z", part)]
        return [response(b"%d" % (int(part[4:6]) + int(part[-2:]))) for part in whole]

    assert ask(server, made) == ["pass"] * 3


def test_a_long_body_is_sent_once() -> None:
    made = checks(UPLOAD)
    assert [check.name for check in made] == ["upload"]
    assert ask(lambda data: [OK] if data == wire(UPLOAD) else [], made) == ["pass"]


def test_any_answer_is_right_and_nothing_more_is_asked() -> None:
    assert ask(lambda data: [], checks(ANY)) == ["pass"]
    assert FakeLine.clock[0] < 101


def test_a_request_that_is_not_sent_whole_is_sent_once() -> None:
    made = checks(HALF)
    assert [check.name for check in made] == ["half"]
    assert ask(lambda data: [None], made) == ["error"]


def test_a_path_that_must_not_be_there_is_no_endpoint() -> None:
    missing = RequestTemplate("m", "GET", "/x", expect=Expectation(status=(404,)))
    assert {check.endpoint for check in checks(missing)} == {""}


def test_a_websocket() -> None:
    def server(data: bytes) -> list[bytes | OSError | None]:
        _, end, frames = data.partition(b"\r\n\r\n")
        return [AGREED] * bool(end) + [text_frame(b"hello")] * (len(frames) // 11)

    made = checks(ECHO, protocol=Protocol.WS)
    assert [check.name for check in made] == ["echo", "echo, again on the connection"]
    assert ask(server, made) == ["pass", "pass"]


@pytest.mark.parametrize(("tls", "way"), [(True, Way.H2), (False, Way.H2C)])
def test_http2_asks_gets_only(tls: bool, way: Way) -> None:
    made = checks(GET, POST, protocol=Protocol.H2, tls=tls)
    assert [check.way for check in made] == [way, way]
    assert made[0].unable == ""
    result = Prober(Target("127.0.0.1", {way: 1}), 5.0, random.Random(1)).run(made[1])
    assert result.outcome is Outcome.SKIPPED
    (asked,) = made[0].plan(Asking(random.Random(1), AUTHORITY)).asked
    assert asked.pieces[0].data.startswith(b"PRI * HTTP/2.0")
