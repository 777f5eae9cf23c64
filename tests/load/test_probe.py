"""The checks on an idle server, over lines that are made up; no time passes but the clock's."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.load import probe
from diagnose.load.probe import ANY_ANSWER_S, FRAGMENT_S, FRAGMENTED, probes
from diagnose.load.websocket import text_frame
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import Answer, Expectation, Protocol, RequestTemplate, Scenario
from diagnose.websocket import ACCEPT
from tests.load.lines import Answers, FakeLine, pass_time
from tests.load.rig import CLOSING, GET, OK, UPLOAD, response, wire

ANY = RequestTemplate("any", "RAW", "/", raw=b"\x00\x01", expect=Expectation(answer=Answer.ANY))
POST = RequestTemplate("post", "POST", "/?a=1", body="20", expect=Expectation(sum=True))
VALUES = RequestTemplate("values", "GET", "/?a={RAND:10:99}", expect=Expectation(sum=True))
ECHO = RequestTemplate("echo", "GET", "/ws", body="hello")
AGREED = b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: " + ACCEPT.encode() + b"\r\n\r\n"


@pytest.fixture(autouse=True)
def _fake_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    pass_time(monkeypatch)
    monkeypatch.setattr(probe, "Line", FakeLine)


def check(
    monkeypatch: pytest.MonkeyPatch, server: Answers, *templates: RequestTemplate, **options: Any
) -> list[ProbeCheck]:
    monkeypatch.setattr(FakeLine, "server", staticmethod(server), raising=False)
    scenario = Scenario("s", "", "", templates, (1,), **options)
    found = list(probes(scenario, "127.0.0.1", 8080, 5.0))
    assert all(line.closed for line in FakeLine.lines)
    return found


def always(*answers: bytes | None, request: RequestTemplate = GET) -> Answers:
    """A server that answers each whole request with the next of these."""
    return lambda data: list(answers[: data.count(wire(request))])


def outcomes(found: list[ProbeCheck]) -> list[tuple[str, str, str]]:
    return [(each.template, each.name, each.outcome) for each in found]


def test_a_right_server_passes_three_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(monkeypatch, always(OK, OK), GET)
    assert outcomes(found) == [
        ("get", "plain", "pass"),
        ("get", "kept", "pass"),
        ("get", "fragmented", "pass"),
    ]
    assert [len(line.sent) for line in FakeLine.lines] == [2, 4]
    assert found[0].request == wire(GET).decode()
    assert found[0].response == OK.decode()
    assert not found[0].closes


def test_pieces_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    check(monkeypatch, always(OK, OK, request=POST), POST)
    pieces = FakeLine.lines[1]
    assert b"".join(pieces.sent) == wire(POST)
    gaps = [later - earlier for earlier, later in zip(pieces.at, pieces.at[1:], strict=False)]
    assert all(gap >= FRAGMENT_S * 0.99 for gap in gaps)
    line, head = wire(POST).index(b"\r\n"), wire(POST).index(b"\r\n\r\n") + 4
    edges = {sum(map(len, pieces.sent[:count])) for count in range(1, len(pieces.sent))}
    assert {line // 2, head - 2, head} <= edges
    assert any(head < edge < len(wire(POST)) for edge in edges)


def test_a_wrong_answer_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(monkeypatch, always(response(b"no"), response(b"no")), GET)
    assert {each.outcome for each in found} == {"fail"}
    assert found[0].detail == "body b'no', expected b'ok'"


def test_the_sum_of_the_smallest_values_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def server(data: bytes) -> list[bytes | None]:
        return [response(b"10")] * data.count(b"?a=10 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")

    found = check(monkeypatch, server, VALUES)
    assert [each.outcome for each in found] == ["pass"] * 3
    assert found[0].request.startswith("GET /?a=10 ")


def test_a_server_that_closes_is_told_and_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(monkeypatch, always(CLOSING, None), GET)
    assert [each.name for each in found] == ["plain", "fragmented"]
    assert found[0].closes
    assert "closes the connection after this response" in found[0].detail


def test_an_end_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(monkeypatch, always(None), GET)
    assert outcomes(found) == [("get", "plain", "error")]
    assert found[0].detail == "the connection was closed without an answer"


def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(monkeypatch, lambda _: [], GET)
    assert outcomes(found) == [("get", "plain", "error")]
    assert found[0].detail == "no complete answer within 5 s"
    assert FakeLine.clock[0] == pytest.approx(105.0, abs=0.5)


def test_an_answer_byte_by_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    def server(data: bytes) -> list[bytes | None]:
        return [bytes([byte]) for byte in OK] * data.count(wire(GET))

    assert [each.outcome for each in check(monkeypatch, server, GET)] == ["pass"] * 3


def test_a_long_body_is_sent_whole_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(monkeypatch, always(OK, request=UPLOAD), UPLOAD)
    assert outcomes(found) == [("upload", "plain", "pass")]
    assert b"".join(FakeLine.lines[0].sent) == wire(UPLOAD)


def test_only_the_first_small_ones_are_sent_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    templates = [RequestTemplate(str(n), "GET", "/") for n in range(FRAGMENTED + 2)]
    found = check(monkeypatch, always(OK, OK, request=templates[0]), *templates)
    assert [each.name for each in found].count("fragmented") == FRAGMENTED


def test_a_request_that_stands_twice_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(check(monkeypatch, always(OK, OK), GET, GET, GET)) == 3


# -- requests that may get any answer ------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "seen"),
    [
        ([response(b"no", 400)], "status 400"),
        ([None], "the connection was closed without an answer"),
        ([b"go away"], "not an HTTP/1.x response"),
        ([], f"no complete answer within {ANY_ANSWER_S:g} s"),
    ],
    ids=["refusal", "end", "nonsense", "silence"],
)
def test_any_answer_passes(
    monkeypatch: pytest.MonkeyPatch, answers: list[bytes | None], seen: str
) -> None:
    found = check(monkeypatch, lambda _: answers, ANY)
    assert outcomes(found) == [("any", "plain", "pass")]
    assert found[0].detail.startswith("any answer is right; seen: ")
    assert seen in found[0].detail
    assert not found[0].closes
    assert FakeLine.clock[0] < 101.5


def test_a_close_after_nonsense_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(monkeypatch, lambda _: [CLOSING, None], ANY)
    assert (found[0].outcome, found[0].closes) == ("pass", False)


# -- other protocols -----------------------------------------------------------------------------


def echo(data: bytes) -> list[bytes | None]:
    """A right WebSocket server."""
    _, end, frames = data.partition(b"\r\n\r\n")
    return [AGREED] * bool(end) + [text_frame(b"hello")] * (len(frames) // 11)


def test_a_websocket_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(monkeypatch, echo, ECHO, protocol=Protocol.WS)
    assert outcomes(found) == [("echo", "plain", "pass"), ("echo", "kept", "pass")]
    assert found[0].request.startswith("GET /ws HTTP/1.1\r\n")
    # The message waits for the upgrade.
    assert len(FakeLine.lines[0].sent) == 3


def test_a_websocket_that_says_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def server(data: bytes) -> list[bytes | None]:
        return [text_frame(b"hallo") if each != AGREED else AGREED for each in echo(data)]

    found = check(monkeypatch, server, ECHO, protocol=Protocol.WS)
    assert {each.outcome for each in found} == {"fail"}


def test_an_upgrade_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def server(_: bytes) -> list[bytes | None]:
        return [response(b"", 404)]

    found = check(monkeypatch, server, ECHO, protocol=Protocol.WS)
    assert outcomes(found) == [("echo", "plain", "error")]
    assert found[0].detail == "upgrade refused: HTTP/1.1 404 X"


def test_nothing_is_asked_over_http_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(monkeypatch, always(OK), GET, protocol=Protocol.H2) == []
    assert FakeLine.lines == []


def test_no_connection_ends_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> FakeLine:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(probe, "Line", refuse)
    found = check(monkeypatch, always(OK), GET, POST)
    assert outcomes(found) == [("get", "plain", "error")]
    assert "cannot connect: " in found[0].detail
