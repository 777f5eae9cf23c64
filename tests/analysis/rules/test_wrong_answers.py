"""wrong_answers: what the probes and the load saw against the contract."""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.wrong_answers import check
from diagnose.model.finding import Verdict
from diagnose.model.load import Failure, FailureExample, TemplateResult
from diagnose.model.run import ProbeCheck
from tests.builders import evidence_of, make_load, make_run, with_failures

WRONG_BODY = Failure.WRONG_BODY.value
WRONG_STATUS = Failure.WRONG_STATUS.value
BAD_PROBE = ProbeCheck("fragmented", "post_cl", "fail", "status 400, expected 2xx")


@pytest.mark.parametrize(
    ("wrong", "responses", "verdict"),
    [
        pytest.param(0, 5000, Verdict.CLEAR, id="none"),
        pytest.param(2, 100, Verdict.UNKNOWN, id="two may be accidents"),
        pytest.param(3, 3000, Verdict.FOUND, id="three, one in a thousand"),
        pytest.param(5000, 5000, Verdict.FOUND, id="all"),
    ],
)
@pytest.mark.parametrize("kind", [WRONG_BODY, WRONG_STATUS])
def test_one_in_a_thousand_and_three_decide(
    wrong: int, responses: int, verdict: Verdict, kind: str
) -> None:
    failures = {kind: wrong} if wrong else {}
    load = with_failures(failures, responses=responses, bodies_checked=responses)
    answer = check(make_run(load=load))
    assert answer.verdict is verdict
    assert evidence_of(answer)["wrong_share"] == pytest.approx(wrong / responses)
    if verdict is Verdict.FOUND:
        assert f"what {kind} looked like" in answer.claim
        assert answer.explains >= 0.01


@pytest.mark.parametrize(
    ("kind", "verdict"), [(WRONG_BODY, Verdict.FOUND), (WRONG_STATUS, Verdict.UNKNOWN)]
)
def test_a_wrong_body_is_a_fault_however_seldom(kind: str, verdict: Verdict) -> None:
    load = with_failures({kind: 45}, responses=53_382, bodies_checked=53_382)
    assert check(make_run(load=load)).verdict is verdict


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        pytest.param(WRONG_BODY, Verdict.FOUND, id="of the bodies that were compared"),
        pytest.param(WRONG_STATUS, Verdict.UNKNOWN, id="of all responses"),
    ],
)
def test_a_wrong_body_stands_for_those_that_were_not_compared(kind: str, verdict: Verdict) -> None:
    load = with_failures({kind: 3}, responses=50_000, bodies_checked=800)
    answer = check(make_run(load=load))
    assert answer.verdict is verdict
    share = 3 / (800 if kind == WRONG_BODY else 50_000)
    assert evidence_of(answer)["wrong_share"] == pytest.approx(share)


def test_without_a_count_of_comparisons_all_responses_count() -> None:
    load = with_failures({WRONG_BODY: 3}, responses=3000, bodies_checked=0)
    assert evidence_of(check(make_run(load=load)))["wrong_share"] == pytest.approx(0.001)


def test_a_share_is_never_more_than_all() -> None:
    load = with_failures({WRONG_BODY: 5000}, responses=5000, bodies_checked=94)
    answer = check(make_run(load=load))
    assert answer.verdict is Verdict.FOUND
    assert answer.explains <= 1.0


def test_both_kinds_are_counted_together() -> None:
    load = with_failures({WRONG_BODY: 2, WRONG_STATUS: 1}, responses=1000, bodies_checked=1000)
    answer = check(make_run(load=load))
    assert answer.verdict is Verdict.FOUND
    assert "3 of 1000" in answer.claim


def test_other_failures_are_not_wrong_answers() -> None:
    load = with_failures({Failure.RESET_WAITING.value: 5000}, responses=10)
    assert check(make_run(load=load)).verdict is Verdict.CLEAR


@pytest.mark.parametrize("load", [None, make_load()], ids=["no result", "right under load"])
def test_a_failed_probe_is_enough(load: object) -> None:
    answer = check(make_run(load=load, probes=(BAD_PROBE,)))
    assert answer.verdict is Verdict.FOUND
    assert "post_cl (fragmented): status 400" in answer.claim
    assert "status 400" in str(evidence_of(answer)["probe"])


@pytest.mark.parametrize("outcome", ["pass", "error"])
def test_other_outcomes_of_a_probe_are_not(outcome: str) -> None:
    probe = ProbeCheck("plain", "get", outcome, "connection refused")
    assert check(make_run(probes=(probe,))).verdict is Verdict.CLEAR


def test_unknown_without_a_result() -> None:
    answer = check(make_run(load=None))
    assert answer.verdict is Verdict.UNKNOWN
    assert "no result" in answer.claim


def test_unknown_when_nothing_was_answered() -> None:
    answer = check(make_run(load=make_load(responses=0, ok=0)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "nothing was answered" in answer.claim


def test_an_example_of_another_kind_is_not_quoted() -> None:
    example = FailureExample(Failure.RESET_WAITING.value, "get", "reset")
    load = make_load(failures={WRONG_BODY: 100}, examples=(example,))
    answer = check(make_run(load=load))
    assert answer.verdict is Verdict.FOUND
    assert answer.claim == "100 of 5000 responses were wrong"


def test_a_kind_of_request_that_left_the_load_is_named() -> None:
    """Each wrong answer to it closed a connection, and the others took over."""
    whole = make_load()
    parts = tuple(
        TemplateResult(name, count, 0, whole.latency)
        for name, count in (("get", 299_054), ("post_chunked", 0))
    )
    load = make_load(templates=parts, responses=299_054, ok=299_054)
    answer = check(make_run(load=load, probes=(BAD_PROBE,)))
    assert answer.verdict is Verdict.FOUND
    assert "post_chunked had no response in the window" in answer.claim
    assert evidence_of(answer)["without_response"] == "post_chunked"


def test_a_failed_probe_comes_with_its_exact_exchange() -> None:
    probe = ProbeCheck(
        "plain", "get", "fail", "body b'no', expected b'55'", 0.001, "GET / HTTP/1.1\r\n\r\n", "no"
    )
    rows = evidence_of(check(make_run(probes=(probe,))))
    assert rows["request"] == r"GET / HTTP/1.1\r\n\r\n"
    assert rows["response"] == "no"


def test_another_form_of_a_request_is_no_wrong_answer() -> None:
    probe = ProbeCheck("chunked", "post", "differs", "status 411, expected 2xx", status=411)
    assert check(make_run(probes=(probe,))).verdict is Verdict.CLEAR
