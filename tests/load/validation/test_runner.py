"""One check at a time: ports that are missing, servers that are silent, and what is told."""

from __future__ import annotations

import random
import ssl
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.load.conversation import Piece, Seen
from diagnose.load.validation import runner
from diagnose.load.validation.check import Asked, Asking, Check, Plan, Target, Verdict, Way
from diagnose.load.validation.judging import any_answer, as_wanted, single
from diagnose.load.validation.runner import OPTIONS, SHORT_TIMEOUT_S, STRIKES, Prober
from diagnose.load.validation.suite import contract_checks
from diagnose.model.scenario import Expectation
from diagnose.model.validation import Outcome
from diagnose.scenario.catalog import shipped
from tests.load.lines import Answers, FakeLine, pass_time
from tests.load.rig import OK, response

TARGET = Target("127.0.0.1", {Way.HTTP: 8080})
WANTS_OK = Expectation(body="ok")
CHECKS = contract_checks(shipped()["static"].templates)
EVERYWHERE = Target("127.0.0.1", {way: 8000 + number for number, way in enumerate(Way)})


@pytest.fixture(autouse=True)
def _lines(monkeypatch: pytest.MonkeyPatch) -> None:
    pass_time(monkeypatch)
    monkeypatch.setattr(runner, "Line", FakeLine)


def serve(server: Answers) -> None:
    """The server of all lines from here on."""
    FakeLine.server = staticmethod(server)


def plan(*requests: bytes) -> Plan:
    return Plan(tuple(single(request, WANTS_OK) for request in requests))


def check(made: Plan, way: Way = Way.HTTP, demanded: bool = True) -> Check:
    return Check("group", "a name", "/path", lambda _: made, way, demanded)


def prober(timeout_s: float = 5.0, target: Target = TARGET) -> Prober:
    return Prober(target, timeout_s, random.Random(1))


def test_a_right_answer_passes() -> None:
    serve(lambda data: [OK])
    result = prober().run(check(plan(b"a")))
    assert (result.id, result.outcome, result.detail) == ("group/a-name", Outcome.PASS, "")
    (exchange,) = result.exchanges
    assert (exchange.port, exchange.statuses, exchange.expected) == (
        *(8080, (200,), "status 2xx, body 'ok'"),
    )
    assert [event.excerpt.start for event in exchange.events] == [b"a", OK]


def test_the_worst_connection_is_told_and_how_many_there_are() -> None:
    serve(lambda data: [OK] if data == b"a" else [response(b"no")])
    result = prober().run(check(plan(b"a", b"b", b"c")))
    assert result.outcome is Outcome.FAIL
    assert result.detail == "body b'no', expected b'ok' (and 1 more of 3 connections)"
    assert [each.outcome.value for each in result.exchanges] == ["pass", "fail", "fail"]


def test_no_usable_answer_ends_a_check() -> None:
    serve(lambda data: [None])
    result = prober().run(check(plan(b"a", b"b")))
    assert (result.outcome, len(result.exchanges)) == (Outcome.ERROR, 1)
    assert result.failed


def test_what_is_not_demanded_warns() -> None:
    serve(lambda data: [response(b"no")])
    result = prober().run(check(plan(b"a"), demanded=False))
    assert (result.outcome, result.failed) == (Outcome.WARN, False)
    assert result.detail == "body b'no', expected b'ok'"


@pytest.mark.parametrize("way", [Way.TLS, Way.H2, Way.H2C])
def test_a_port_that_is_missing_skips(way: Way) -> None:
    result = prober().run(check(plan(b"a"), way))
    assert result.outcome is Outcome.SKIPPED
    assert OPTIONS[way] in result.detail
    assert FakeLine.lines == []


def test_what_cannot_be_asked_is_skipped() -> None:
    unable = Check("g", "n", "", lambda _: plan(b"a"), unable="because")
    result = prober().run(unable)
    assert (result.outcome, result.detail) == (Outcome.SKIPPED, "because")


def test_connections_are_compared_once_each_is_right() -> None:
    def second(seen: object) -> tuple[int, str]:
        return 1, "not like the first"

    serve(lambda data: [OK])
    made = Plan(plan(b"a", b"b").asked, second)
    result = prober().run(check(made))
    assert (result.outcome, result.detail) == (Outcome.FAIL, "not like the first")
    assert [each.outcome.value for each in result.exchanges] == ["pass", "fail"]
    serve(lambda data: [response(b"no")])
    assert prober().run(check(made)).detail.startswith("body b'no'")


def test_the_authority_names_the_port() -> None:
    seen: list[str] = []

    def planned(asking: Asking) -> Plan:
        seen.append(asking.authority)
        return plan(b"a")

    serve(lambda data: [OK])
    for address in ("127.0.0.1", "::1"):
        prober(target=Target(address, {Way.HTTP: 81})).run(Check("g", "n", "", planned))
    assert seen == ["127.0.0.1:81", "[::1]:81"]


# -- connections that do not come about ----------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(111, "refused"), "the connection was refused: nothing listens"),
        (TimeoutError("timed out"), "timed out"),
        (OSError(113, "No route to host"), "No route to host"),
        (
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
            "no TLS there ([SSL: WRONG",
        ),
    ],
)
def test_no_connection(monkeypatch: pytest.MonkeyPatch, error: OSError, said: str) -> None:
    def refuse(*_: object) -> FakeLine:
        raise error

    monkeypatch.setattr(runner, "Line", refuse)
    result = prober().run(check(plan(b"a", b"b")))
    assert result.outcome is Outcome.ERROR
    assert f"cannot connect to port 8080: {said}" in result.detail
    assert len(result.exchanges) == 1


def test_tls_without_h2_is_not_asked() -> None:
    result = prober(target=EVERYWHERE).run(check(plan(b"a"), Way.H2))
    assert (result.outcome, result.detail) == (Outcome.ERROR, "TLS, but ALPN did not agree on h2")
    assert FakeLine.lines[0].sent == []


def test_which_connections_have_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    contexts: list[object] = []

    class Noting(FakeLine):
        def __init__(self, address: str, port: int, timeout_s: float, context: object) -> None:
            super().__init__()
            contexts.append(context)

    monkeypatch.setattr(runner, "Line", Noting)
    serve(lambda data: [OK])
    for way in Way:
        prober(target=EVERYWHERE).run(check(plan(b"a"), way))
    assert [context is not None for context in contexts] == [False, True, True, False]
    prober(target=Target("127.0.0.1", {Way.HTTP: 443}, https=True)).run(check(plan(b"a")))
    assert contexts[-1] is not None


# -- servers that say nothing --------------------------------------------------------------------


def times(checks: Iterator[Check], asked: Prober) -> list[float]:
    """How long each check waited."""
    waited = []
    for each in checks:
        before = FakeLine.clock[0]
        asked.run(each)
        waited.append(round(FakeLine.clock[0] - before, 1))
    return waited


def test_silence_is_waited_for_less_after_some_checks() -> None:
    silent = check(plan(b"a", b"b"))
    asked = prober()
    assert times(iter([silent] * (STRIKES + 2)), asked) == [5.0] * STRIKES + [SHORT_TIMEOUT_S] * 2
    serve(lambda data: [OK])
    assert asked.run(silent).outcome is Outcome.PASS
    serve(lambda data: [])
    assert times(iter([silent]), asked) == [5.0]


def test_silence_that_is_a_result_is_no_strike() -> None:
    tolerant = Asked((Piece(b"a"),), (Expectation(),), any_answer, patience_s=0.5)
    patient = check(Plan((tolerant,)))
    assert times(iter([patient] * 4), prober()) == [0.5] * 4
    assert prober().run(patient).outcome is Outcome.PASS


def test_a_refusal_in_place_of_another_protocol_has_a_status() -> None:
    serve(lambda data: [b"HTTP/1.1 404 Not Fou", None])
    assert prober().run(check(plan(b"a"))).exchanges[0].statuses == (404,)
    serve(lambda data: [b"HTTP/1.1 200 O", None])
    assert prober().run(check(plan(b"a"))).exchanges[0].statuses == ()


def test_a_judge_sees_what_came() -> None:
    def judge(asked: Asked, seen: Seen) -> Verdict:
        return Verdict(Outcome.WARN, f"{len(seen.responses)} of {len(asked.wants)}")

    serve(lambda data: [OK])
    made = Plan((Asked((Piece(b"a"),), (WANTS_OK,), judge), single(b"b", WANTS_OK)))
    result = prober().run(check(made))
    assert (result.outcome, result.detail) == (Outcome.WARN, "1 of 1")
    assert as_wanted(made.asked[0], Seen((), "gone", 0, 0, 0, None)).detail == "gone"  # type: ignore[arg-type]


# -- any server ----------------------------------------------------------------------------------

bodies = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            *(b"0", b"17", b"null", b"[]", b"{}", b'{"items": [], "count": 0}'),
            *(b'{"items": [{}], "count": 1}', b'{"items": null, "count": null}'),
            *(b'{"items": [], "count": "0"}', b"\x1f\x8b\x08\x00", b'{"count": NaN, "items": [1]}'),
        ]
    ),
)
headers = st.sampled_from(
    [
        *(b"Content-Type: application/json", b"Content-Type: text/plain", b"Connection: close"),
        *(b"Content-Encoding: gzip", b"Content-Encoding: br", b"Upgrade: x", b"Content-Type: \xff"),
    ]
)
answers = st.one_of(
    st.binary(max_size=60),
    st.builds(response, bodies, st.sampled_from([100, 101, 200, 204, 404, 500]), *[headers] * 2),
    st.sampled_from([b"\0\0\0\4\0\0\0\0\0", b"HTTP/1.1 100 Continue\r\n\r\n", None]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(answers, max_size=6), st.sampled_from(CHECKS), st.integers(0, 1000))
def test_no_answer_breaks_a_check(
    given_answers: list[bytes | None], asked: Check, seed: int
) -> None:
    FakeLine.lines.clear()
    serve(lambda data: list(given_answers))
    result = Prober(EVERYWHERE, 5.0, random.Random(seed)).run(asked)
    assert result.outcome in Outcome
    assert result.detail or result.outcome is Outcome.PASS
