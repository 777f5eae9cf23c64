"""Bursts of requests, and late acknowledgments, over lines that are made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from diagnose.load import asking, rhythm
from diagnose.load.asking import Site
from diagnose.load.rhythm import (
    BURST_PATIENCE_S,
    BURSTS,
    MOST_SERIAL_S,
    MOST_TEMPLATES,
    REPEATS,
    SMALL_ANSWER,
    SUSPECT_S,
    UNSUSPECTED_S,
    rhythms,
)
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import (
    INLINE_BODY,
    Answer,
    Expectation,
    RequestTemplate,
    Scenario,
    Sending,
)
from tests.load.form_server import requests
from tests.load.lines import FakeLine, pass_time
from tests.load.rig import CLOSING, response

GET = RequestTemplate("get", "GET", "/", expect=Expectation(body="ok"))
OTHER = RequestTemplate("other", "GET", "/other", expect=Expectation(body="else"))
POST = RequestTemplate("post", "POST", "/", body="20", expect=Expectation(body="ok"))


class TimedLine(FakeLine):
    """Each answer takes its time; `alone` for the first of those that were asked for together,
    `behind` for the others."""

    alone, behind = 0.0001, 0.0001
    quick = False

    def receive(self) -> bytes | None:
        between = bool(self.given - len(self.waiting)) and len(requests(b"".join(self.sent))) > 1
        together = len(self.sent) == 1 and between
        FakeLine.clock[0] += self.behind if together else self.alone
        return super().receive()


class LateLine(TimedLine):
    """As with late acknowledgments."""

    alone = 0.0001


@pytest.fixture(autouse=True)
def _fake_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    pass_time(monkeypatch, answering)
    monkeypatch.setattr(TimedLine, "alone", 0.0001)
    monkeypatch.setattr(TimedLine, "behind", 0.0001)
    monkeypatch.setattr(LateLine, "alone", 0.0001)
    monkeypatch.setattr(asking, "Line", FakeLine)
    monkeypatch.setattr(rhythm, "AckLine", LateLine)
    monkeypatch.setattr(rhythm, "QuickLine", TimedLine)


def answering(data: bytes) -> list[bytes | OSError | None]:
    """`else` to /other, `ok` to all others."""
    return [
        response(b"else" if asked.line.startswith(b"GET /other") else b"ok")
        for asked in requests(data)
    ]


def check(
    *templates: RequestTemplate, pipeline: int = 1, latency_s: float = 0.0001
) -> list[ProbeCheck]:
    scenario = Scenario("s", "", "", templates, (1,), pipeline=pipeline)
    site = Site(scenario, "127.0.0.1", 8080, 5.0)
    found = list(rhythms(site, dict.fromkeys(templates, latency_s)))
    assert all(line.closed for line in FakeLine.lines)
    return found


def names(found: Sequence[ProbeCheck]) -> list[tuple[str, str]]:
    return [(each.template, each.name) for each in found]


# -- acknowledgments -----------------------------------------------------------------------------


def test_quick_answers_are_not_asked_again() -> None:
    found = check(GET, POST)
    assert names(found) == [("get", "late_ack"), ("post", "late_ack"), ("get", "pipelined")]
    assert [len(each.times_s) for each in found[:2]] == [REPEATS] * 2
    assert {each.outcome for each in found} == {"pass"}


@pytest.mark.parametrize(
    ("late_s", "asked_again"),
    [
        (SUSPECT_S * 0.9, False),
        (SUSPECT_S * 1.1, True),
        (0.044, True),
        (UNSUSPECTED_S * 0.9, True),
        (UNSUSPECTED_S * 1.1, False),
    ],
)
def test_what_takes_as_long_as_an_acknowledgment_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, late_s: float, asked_again: bool
) -> None:
    monkeypatch.setattr(LateLine, "alone", late_s)
    found = check(GET)
    assert (("get", "quick_ack") in names(found)) is asked_again
    times = 2 * REPEATS if asked_again else REPEATS
    assert found[0].times_s == pytest.approx((late_s,) * times, rel=0.1)
    if asked_again:
        assert found[1].times_s == pytest.approx((0.0001,) * REPEATS, rel=0.1)


def test_a_server_that_warms_up_is_seen_to_be_quick_at_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class WarmingLine(LateLine):
        """The first line waits, a later one does not."""

        def receive(self) -> bytes | None:
            self.alone = 0.05 if self is FakeLine.lines[0] else 0.0001
            return super().receive()

    monkeypatch.setattr(rhythm, "AckLine", WarmingLine)
    late, quick, *_ = check(GET)
    assert (late.name, quick.name) == ("late_ack", "quick_ack")
    assert min(late.times_s) < SUSPECT_S < max(late.times_s)


def test_slow_templates_are_not_asked_again_and_again() -> None:
    assert check(GET, latency_s=UNSUSPECTED_S * 1.1) == []


def test_not_more_than_some_are_asked() -> None:
    gets = [replace(GET, name=f"get{n}", target=f"/{n}") for n in range(MOST_TEMPLATES + 3)]
    assert [each.name for each in check(*gets)].count("late_ack") == MOST_TEMPLATES


@pytest.mark.parametrize(
    "template",
    [
        replace(GET, expect=Expectation(answer=Answer.ANY)),
        replace(POST, sending=Sending.HALF),
        replace(POST, body=None, body_length=INLINE_BODY + 1),
    ],
    ids=["any answer", "in part", "long body"],
)
def test_others_are_left_alone(template: RequestTemplate) -> None:
    assert check(template) == []


def test_an_answer_that_ends_the_connection_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    server = staticmethod(lambda data: [CLOSING][: len(requests(data))])
    monkeypatch.setattr(FakeLine, "server", server)
    found = check(GET)
    assert names(found) == [("get", "late_ack")]
    assert len(found[0].times_s) == 1


def test_a_server_that_stops_answering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLine, "server", staticmethod(lambda _: []))
    (only,) = check(GET)
    assert (only.name, only.outcome, only.times_s) == ("late_ack", "differs", ())


# -- pipelining ----------------------------------------------------------------------------------


def test_a_burst_has_its_times() -> None:
    burst = check(GET)[-1]
    assert burst.name == "pipelined"
    assert burst.times_s == pytest.approx((0.0001, 0.0004, 0.0016), rel=0.3)
    sent = [len(requests(b"".join(line.sent))) for line in FakeLine.lines]
    assert sent[-4:] == [BURSTS[0]] * 2 + [BURSTS[1]] * 2
    assert burst.detail.startswith("16 answers in ")


def test_a_timer_between_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TimedLine, "behind", 0.005)
    _, small, large = check(GET)[-1].times_s
    assert large - small == pytest.approx(12 * 0.005, rel=0.1)


def test_answers_must_come_in_the_order_of_their_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(GET, OTHER)[-1].outcome == "pass"

    def swapping(data: bytes) -> list[bytes | OSError | None]:
        answers = answering(data)
        return answers[1:2] + answers[:1] + answers[2:] if len(answers) > REPEATS else answers

    monkeypatch.setattr(FakeLine, "server", staticmethod(swapping))
    burst = check(GET, OTHER)[-1]
    assert burst.outcome == "differs"
    assert burst.detail == "answer 1 of 4: body b'else', expected b'ok'"


def test_lost_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(data: bytes) -> list[bytes | OSError | None]:
        return answering(data)[: max(1, data.count(b"GET ") if data.count(b"GET ") <= 3 else 1)]

    monkeypatch.setattr(FakeLine, "server", staticmethod(forgetful))
    burst = check(GET)[-1]
    assert (burst.outcome, burst.closes) == ("differs", False)
    assert "1 of 4 came" in burst.detail
    assert burst.latency_s == pytest.approx(BURST_PATIENCE_S, abs=0.3)


def test_a_close_behind_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def closing(data: bytes) -> list[bytes | OSError | None]:
        answers = answering(data)
        return answers if len(answers) <= 3 else [answers[0], None]

    monkeypatch.setattr(FakeLine, "server", staticmethod(closing))
    burst = check(GET)[-1]
    assert (burst.outcome, burst.closes) == ("differs", True)


def test_only_the_load_itself_may_pipeline_posts() -> None:
    assert "pipelined" not in {each.name for each in check(POST)}
    assert check(POST, pipeline=16)[-1].name == "pipelined"


def test_long_answers_are_left_out_of_bursts(monkeypatch: pytest.MonkeyPatch) -> None:
    long = replace(OTHER, expect=Expectation())

    def server(data: bytes) -> list[bytes | OSError | None]:
        return [
            response(b"x" * SMALL_ANSWER if asked.line.startswith(b"GET /other") else b"ok")
            for asked in requests(data)
        ]

    monkeypatch.setattr(FakeLine, "server", staticmethod(server))
    found = check(long, GET)
    assert names(found)[-1] == ("get", "pipelined")
    assert b"/other" not in FakeLine.lines[-1].sent[0]
    assert "pipelined" not in {each.name for each in check(long)}


def test_requests_that_would_take_too_long_one_after_the_other() -> None:
    found = check(GET, latency_s=1.01 * MOST_SERIAL_S / BURSTS[1])
    assert "pipelined" not in {each.name for each in found}
