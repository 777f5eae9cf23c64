"""The same requests in other forms, over lines that are made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from diagnose.load import asking, probe, rhythm
from diagnose.load.probe import probes
from diagnose.load.variations import (
    CUT_S,
    HELD_BACK_S,
    MOST_HELD_BACK_S,
    MOST_TEMPLATES,
    SHORT_BODY,
    TYPES,
    reduced,
    variations,
)
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import (
    INLINE_BODY,
    Answer,
    Expectation,
    Protocol,
    RequestTemplate,
    Scenario,
    Sending,
)
from tests.load.form_server import Asked, Handler, requests, right, serving
from tests.load.lines import FakeLine, pass_time
from tests.load.rig import response

GET = RequestTemplate("get", "GET", "/", expect=Expectation(body="ok"))
POST = RequestTemplate("post", "POST", "/?a=1", body="20", expect=Expectation(body="21"))
CHUNKED = replace(POST, name="chunked_post", chunked=True)
LENGTH = 3 * INLINE_BODY
UPLOAD = RequestTemplate(
    "upload", "POST", "/upload", body_length=LENGTH, expect=Expectation(body=str(LENGTH))
)
TYPED = replace(POST, headers=(("Content-Type", "text/plain"),))


@pytest.fixture(autouse=True)
def _fake_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    pass_time(monkeypatch)
    for module in (probe, asking):
        monkeypatch.setattr(module, "Line", FakeLine)
    for name in ("AckLine", "QuickLine"):
        monkeypatch.setattr(rhythm, name, FakeLine)


Server = Callable[[bytes], list[bytes | OSError | None]]


@pytest.fixture(name="check")
def check_fixture(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[ProbeCheck]]:
    """What the variations of templates come to; the first argument is a handler or a server."""

    def check(
        handler: Handler, *templates: RequestTemplate, server: Server | None = None, **options: Any
    ) -> list[ProbeCheck]:
        monkeypatch.setattr(
            FakeLine, "server", staticmethod(server or serving(handler)), raising=False
        )
        scenario = Scenario("s", "", "", templates, (1,), **options)
        plain = list(probes(scenario, "127.0.0.1", 8080, 5.0))
        FakeLine.lines.clear()
        found = list(variations(scenario, "127.0.0.1", 8080, 5.0, plain))
        assert all(line.closed for line in FakeLine.lines)
        return [each for each in found if each.name not in ("late_ack", "pipelined")]

    return check


Check = Callable[..., list[ProbeCheck]]


def outcomes(found: list[ProbeCheck]) -> list[tuple[str, str, str]]:
    return [(each.template, each.name, each.outcome) for each in found]


def of(found: list[ProbeCheck], name: str) -> ProbeCheck:
    (only,) = [each for each in found if each.name == name]
    return only


# -- a right server ------------------------------------------------------------------------------


def test_a_right_server_answers_every_form_alike(check: Check) -> None:
    found = check(right, GET, POST, CHUNKED)
    assert outcomes(found) == [
        ("post", "chunked", "pass"),
        ("post", "with_content_type", "pass"),
        ("chunked_post", "content_length", "pass"),
        ("chunked_post", "with_content_type", "pass"),
        ("post", "half_body", "pass"),
    ]
    assert "Transfer-Encoding: chunked" in of(found, "chunked").request
    assert "Content-Length: 2" in of(found, "content_length").request
    assert found[1].detail == "application/octet-stream: answered right"
    assert (found[0].status, found[0].response) == (200, response(b"21").decode())


def test_a_type_that_the_load_sends_is_left_out_once(check: Check) -> None:
    found = check(right, TYPED)
    assert "Content-Type" not in of(found, "without_content_type").request
    assert "Content-Type: text/plain" in of(found, "chunked").request


@pytest.mark.parametrize(
    ("templates", "options"),
    [
        pytest.param((GET,), {}, id="no body"),
        pytest.param((replace(POST, raw=b"POST / HTTP/1.1\r\n\r\n"),), {}, id="raw bytes"),
        pytest.param((replace(POST, sending=Sending.HALF),), {}, id="sent in part"),
        pytest.param((replace(POST, expect=Expectation(answer=Answer.ANY)),), {}, id="any answer"),
        pytest.param((POST,), {"protocol": Protocol.H2}, id="HTTP/2"),
    ],
)
def test_nothing_to_vary(
    check: Check, templates: tuple[RequestTemplate, ...], options: dict[str, Any]
) -> None:
    assert check(right, *templates, **options) == []


def test_requests_that_differ_in_length_only_are_tried_once(check: Check) -> None:
    other = replace(
        UPLOAD, name="other", body_length=2 * LENGTH, expect=Expectation(body=str(2 * LENGTH))
    )
    found = check(right, UPLOAD, other)
    assert {each.template for each in found} == {"upload"}


def test_not_more_than_some_are_tried(check: Check) -> None:
    posts = [replace(POST, name=f"post{n}", target=f"/{n}?a=1") for n in range(MOST_TEMPLATES + 2)]
    found = check(right, *posts)
    assert len([each for each in found if each.name == "chunked"]) == MOST_TEMPLATES


# -- a short body in place of a long one -----------------------------------------------------------


def test_a_long_body_is_made_shorter(check: Check) -> None:
    found = check(right, UPLOAD)
    assert outcomes(found) == [
        ("upload", "short_body", "pass"),
        ("upload", "chunked", "pass"),
        ("upload", "with_content_type", "pass"),
        ("upload", "half_body", "pass"),
        ("upload", "cut_body", "pass"),
    ]
    assert f"Content-Length: {SHORT_BODY}" in found[0].request
    assert f"Content-Length: {LENGTH}" in of(found, "half_body").request


@pytest.mark.parametrize(
    ("template", "length"),
    [
        (POST, 2),
        (replace(UPLOAD, body_length=INLINE_BODY), INLINE_BODY),
        (UPLOAD, SHORT_BODY),
        (replace(UPLOAD, expect=Expectation()), SHORT_BODY),
        (replace(UPLOAD, expect=Expectation(body="done")), None),
        (replace(UPLOAD, expect=Expectation(items=5)), None),
    ],
    ids=["small", "just inline", "counted", "not compared", "a fixed answer", "JSON"],
)
def test_what_can_be_made_shorter(template: RequestTemplate, length: int | None) -> None:
    short = reduced(template)
    assert (short.payload_length if short else None) == length


# -- Content-Type --------------------------------------------------------------------------------


def test_a_type_is_demanded(check: Check) -> None:
    def handler(asked: Asked) -> bytes:
        if asked.line.startswith(b"POST") and not asked.has(b"content-type: text/plain"):
            return response(b"", 415)
        return right(asked)

    found = check(handler, POST)
    assert outcomes(found) == [
        ("post", "chunked", "differs"),
        ("post", "with_content_type", "differs"),
        ("post", "with_content_type", "pass"),
    ]
    assert [each.detail.partition(":")[0] for each in found[1:]] == list(TYPES[:2])
    assert found[0].status == 415


def test_no_type_helps(check: Check) -> None:
    found = check(lambda _: response(b"no"), POST)
    assert outcomes(found)[1:] == [("post", "with_content_type", "differs")] * len(TYPES)


def test_a_request_that_is_wrong_once_tells_nothing(check: Check) -> None:
    first: list[FakeLine] = []

    def server(data: bytes) -> list[bytes | OSError | None]:
        line = FakeLine.lines[-1]
        first.append(line)
        wrong = line is first[0]
        return [response(b"", 500) if wrong else right(asked) for asked in requests(data)]

    assert check(right, POST, server=server) == []


def test_what_can_be_done_once_tells_nothing(check: Check) -> None:
    first: list[FakeLine] = []

    def server(data: bytes) -> list[bytes | OSError | None]:
        line = FakeLine.lines[-1]
        first.append(line)
        taken = line is not first[0]
        return [response(b"", 409) if taken else right(asked) for asked in requests(data)]

    names = [each.name for each in check(right, POST, server=server)]
    assert "chunked" not in names
    assert "with_content_type" not in names


# -- framing -------------------------------------------------------------------------------------


def test_chunks_are_ignored(check: Check) -> None:
    def handler(asked: Asked) -> bytes:
        return response(b"1") if asked.chunked else right(asked)

    found = check(handler, POST, CHUNKED)
    assert ("post", "chunked", "differs") in outcomes(found)
    assert ("chunked_post", "content_length", "pass") in outcomes(found)
    assert of(found, "chunked").detail == "body b'1', expected b'21'"
    assert not [each for each in found if each.name == "chunked_read"]


def test_a_chunked_request_that_gets_no_answer_is_tried_with_a_length(check: Check) -> None:
    def server(data: bytes) -> list[bytes | OSError | None]:
        return [right(asked) for asked in requests(data) if not asked.chunked]

    found = check(right, CHUNKED, server=server)
    assert outcomes(found) == [("chunked_post", "content_length", "pass")]


def test_a_request_that_gets_no_answer_in_any_form(check: Check) -> None:
    assert check(right, POST, server=lambda _: []) == []
    found = check(right, CHUNKED, server=lambda _: [])
    assert outcomes(found) == [("chunked_post", "content_length", "differs")]
    assert found[0].detail == "no complete answer within 2 s"
    assert found[0].status == 0


def test_a_chunked_body_is_read_to_its_end_and_not_counted(check: Check) -> None:
    def handler(asked: Asked) -> bytes:
        return response(b"%d" % (asked.length or 0)) if b"upload" in asked.line else right(asked)

    found = check(handler, UPLOAD)
    assert of(found, "chunked").detail == f"body b'0', expected b'{SHORT_BODY}'"
    assert of(found, "chunked_read").outcome == "differs"


def test_a_chunked_body_is_answered_before_its_end(check: Check) -> None:
    def server(data: bytes) -> list[bytes | OSError | None]:
        if b"chunked" in data:
            return [response(b"0")] * data.count(b"POST ")
        return [right(asked) for asked in requests(data)]

    read = of(check(right, UPLOAD, server=server), "chunked_read")
    assert (read.outcome, read.detail) == ("pass", "answered before its end")


def test_chunks_are_left_on_the_connection(check: Check) -> None:
    def server(data: bytes) -> list[bytes | OSError | None]:
        if b"chunked" in data:
            done = data.count(b"\r\n0\r\n\r\n")
            return [response(b"0"), response(b"", 400)][: done and 1 + (data.count(b"POST ") > 1)]
        return [right(asked) for asked in requests(data)]

    read = of(check(right, UPLOAD, server=server), "chunked_read")
    assert (read.outcome, read.detail) == ("pass", "what followed was not answered right")


# -- half of a body ------------------------------------------------------------------------------


def hasty(body: bytes, status: int = 200) -> Server:
    """Answers an upload of which a part is there."""

    def server(data: bytes) -> list[bytes | OSError | None]:
        head, _, sent = data.partition(b"\r\n\r\n")
        if f"Content-Length: {LENGTH}".encode() in head and 0 < len(sent) < LENGTH:
            return [response(body, status)]
        return [right(asked) for asked in requests(data)]

    return server


def test_a_success_before_the_body(check: Check) -> None:
    found = check(right, UPLOAD, server=hasty(b"%d" % LENGTH))
    half, cut = of(found, "half_body"), of(found, "cut_body")
    assert half.outcome == "differs"
    assert "before the body was there" in half.detail
    assert len(half.times_s) == 2
    # Nobody has read it: the number is the announced one.
    assert cut.outcome == "differs"


def test_a_success_before_the_body_that_does_not_count_it(check: Check) -> None:
    found = check(right, UPLOAD, server=hasty(b"65536"))
    assert of(found, "half_body").outcome == "differs"
    assert of(found, "cut_body").outcome == "pass"


def test_a_refusal_may_come_early(check: Check) -> None:
    half = of(check(right, UPLOAD, server=hasty(b"", 413)), "half_body")
    assert half.outcome == "pass"
    assert half.detail == "status 413, which may come before the body"


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        pytest.param([response(b"%d" % LENGTH)], "differs", id="as announced"),
        pytest.param([response(b"24576")], "pass", id="as read"),
        pytest.param([response(b"", 400)], "pass", id="an error"),
        pytest.param([None], "pass", id="a close"),
        pytest.param([], "pass", id="silence"),
    ],
)
def test_what_comes_after_the_end_of_the_client(
    check: Check, monkeypatch: pytest.MonkeyPatch, last: list[bytes | None], outcome: str
) -> None:
    def finish(line: FakeLine) -> None:
        line.finished = True
        line.waiting += last

    monkeypatch.setattr(FakeLine, "finish", finish)
    cut = of(check(right, UPLOAD), "cut_body")
    assert cut.outcome == outcome
    assert sum(line.finished for line in FakeLine.lines) == 1


def test_an_answer_that_is_no_count_is_not_compared_after_the_end(check: Check) -> None:
    found = check(right, POST)
    assert [each.name for each in found if each.name in ("half_body", "cut_body")] == ["half_body"]


def test_what_is_held_back_is_not_waited_for_long(check: Check) -> None:
    before = FakeLine.clock[0]
    check(right, UPLOAD)
    assert FakeLine.clock[0] - before <= 2 * HELD_BACK_S + CUT_S + 0.5
    assert HELD_BACK_S < MOST_HELD_BACK_S


def test_over_tls_nothing_can_be_half_closed(check: Check) -> None:
    names = [each.name for each in check(right, UPLOAD, tls=True)]
    assert "half_body" in names
    assert "cut_body" not in names


def test_no_line_is_no_answer(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = Scenario("s", "", "", (POST,), (1,))
    monkeypatch.setattr(FakeLine, "server", staticmethod(serving(right)), raising=False)
    plain = list(probes(scenario, "127.0.0.1", 8080, 5.0))

    def refuse(*_: object) -> FakeLine:
        raise ConnectionRefusedError(111, "Connection refused")

    for module, name in ((asking, "Line"), (rhythm, "AckLine"), (rhythm, "QuickLine")):
        monkeypatch.setattr(module, name, refuse)
    found = list(variations(scenario, "127.0.0.1", 8080, 5.0, plain))
    assert {each.outcome for each in found if each.name != "half_body"} == {"differs"}
    assert all("cannot connect" in each.detail for each in found if each.outcome == "differs")
