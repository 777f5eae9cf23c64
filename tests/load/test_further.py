"""A path that nobody serves, and a body in several lengths, over lines that are made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from diagnose.load import asking, further, probe
from diagnose.load import sizes as sizes_module
from diagnose.load.refused import KEPT, PATH
from diagnose.load.sizes import TIMES
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import (
    LONGEST_TRIED,
    SHORTEST_TRIED,
    Answer,
    Expectation,
    Protocol,
    RequestTemplate,
    Scenario,
    tried_lengths,
)
from tests.load.form_server import Asked, Handler, right, serving
from tests.load.lines import FakeLine, pass_time
from tests.load.rig import response

MIB = 2**20
GET = RequestTemplate("get", "GET", "/", expect=Expectation(body="ok"))
UPLOAD = RequestTemplate(
    "upload", "POST", "/upload", body_length=4 * MIB, expect=Expectation(body=str(4 * MIB))
)
GOOD = (ProbeCheck("plain", "get", "pass", ""), ProbeCheck("plain", "upload", "pass", ""))
Check = Callable[..., list[ProbeCheck]]


@pytest.fixture(name="check")
def check_fixture(monkeypatch: pytest.MonkeyPatch) -> Check:
    pass_time(monkeypatch)
    for module in (probe, asking):
        monkeypatch.setattr(module, "Line", FakeLine)

    def check(
        handler: Handler,
        *templates: RequestTemplate,
        seen: tuple[ProbeCheck, ...] = GOOD,
        **options: Any,
    ) -> list[ProbeCheck]:
        monkeypatch.setattr(FakeLine, "server", staticmethod(serving(handler)), raising=False)
        scenario = Scenario("s", "", "", templates, (1,), **options)
        found = list(further.further(scenario, "127.0.0.1", 8080, 5.0, seen))
        assert all(line.closed for line in FakeLine.lines)
        return found

    return check


def counting(asked: Asked) -> bytes:
    """Answers uploads with the number of their bytes, and refuses other paths."""
    if PATH.encode() in asked.line:
        return response(b"no such path", 404)
    return response(str(len(asked.body)).encode())


# -- a path that nobody serves ------------------------------------------------------------------


def test_the_refusal_is_kept(check: Check) -> None:
    (refused,) = check(counting, GET)
    assert (refused.name, refused.outcome, refused.status) == ("unknown_path", "pass", 404)
    assert refused.response.endswith("no such path")


def test_a_long_page_is_kept_further_than_other_answers(check: Check) -> None:
    def talkative(_: Asked) -> bytes:
        return response(b"x" * 2000 + b"DEBUG = True" + b"x" * 9000, 404)

    (refused,) = check(talkative, GET)
    assert "DEBUG = True" in refused.response
    assert len(refused.response) < KEPT + 300


# -- lengths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("longest", "lengths"),
    [
        (0, []),
        (4 * SHORTEST_TRIED - 1, []),
        (4 * SHORTEST_TRIED, [SHORTEST_TRIED, 4 * SHORTEST_TRIED]),
        (20 * MIB, [20 * MIB // 16, 5 * MIB, 20 * MIB]),
        (900 * MIB, [2 * MIB, 8 * MIB, LONGEST_TRIED]),
    ],
)
def test_lengths_are_a_quarter_of_each_other(longest: int, lengths: list[int]) -> None:
    assert tried_lengths(longest) == lengths


@pytest.mark.parametrize("steep", [False, True])
def test_an_upload_is_timed_in_each_length(
    check: Check, monkeypatch: pytest.MonkeyPatch, steep: bool
) -> None:
    """Where the last step looks steep, twice the longest comes after it."""
    monkeypatch.setattr(sizes_module, "_steep", lambda times: steep)
    lengths: list[int] = []

    def counted(asked: Asked) -> bytes:
        if asked.body:
            lengths.append(len(asked.body))
        return counting(asked)

    _, sizes = check(counted, UPLOAD)
    assert (sizes.name, sizes.template, sizes.outcome) == ("sizes", "upload", "pass")
    assert len(sizes.times_s) == len(tried_lengths(4 * MIB)) + steep == 3 + steep
    wanted = [each for each in tried_lengths(4 * MIB) for _ in range(TIMES)]
    if steep:
        wanted += [8 * MIB] * TIMES
    assert lengths == wanted


def test_more_than_the_server_takes_is_no_fault(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes_module, "_steep", lambda times: True)

    def limited(asked: Asked) -> bytes:
        return response(b"too long", 413) if len(asked.body) > 4 * MIB else counting(asked)

    _, sizes = check(limited, UPLOAD)
    assert sizes.outcome == "pass"
    assert len(sizes.times_s) == 3


def test_the_longest_of_several_uploads_is_taken(check: Check) -> None:
    short = replace(UPLOAD, name="short", body_length=MIB, expect=Expectation(body=str(MIB)))
    _, sizes = check(counting, short, UPLOAD)
    assert sizes.template == "upload"


def test_a_wrong_answer_ends_it(check: Check) -> None:
    def wrong(asked: Asked) -> bytes:
        return response(b"7") if len(asked.body) == MIB else counting(asked)

    _, sizes = check(wrong, UPLOAD)
    assert sizes.outcome == "differs"
    assert len(sizes.times_s) == 1


@pytest.mark.parametrize(
    "templates",
    [
        pytest.param((GET,), id="no upload"),
        pytest.param((replace(UPLOAD, body_length=4 * SHORTEST_TRIED - 1),), id="too short"),
        pytest.param((replace(UPLOAD, expect=Expectation(body="done")),), id="another answer"),
        pytest.param((replace(UPLOAD, expect=Expectation(answer=Answer.ANY)),), id="any answer"),
    ],
)
def test_nothing_is_timed(check: Check, templates: tuple[RequestTemplate, ...]) -> None:
    assert [each.name for each in check(counting, *templates)] == ["unknown_path"]


def test_an_upload_whose_answer_does_not_matter_is_timed(check: Check) -> None:
    _, sizes = check(right, replace(UPLOAD, expect=Expectation()))
    assert len(sizes.times_s) == 3


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        pytest.param({"protocol": Protocol.H2}, GOOD, id="HTTP/2"),
        pytest.param({"protocol": Protocol.WS}, GOOD, id="WebSocket"),
        pytest.param({}, (), id="nothing was asked"),
        pytest.param({}, (ProbeCheck("plain", "get", "error", ""),), id="nothing was answered"),
    ],
)
def test_nothing_is_asked(
    check: Check, options: dict[str, Any], seen: tuple[ProbeCheck, ...]
) -> None:
    assert check(counting, GET, seen=seen, **options) == []
