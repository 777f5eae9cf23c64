"""errors: which requests failed, and how many."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnose.analysis.rules.errors import check
from diagnose.model.finding import Verdict
from diagnose.model.load import Failure
from diagnose.model.run import ProbeCheck
from tests.builders import evidence_of, make_load, make_run, with_failures

OTHERS = {Failure.WRONG_STATUS, Failure.WRONG_BODY, Failure.TIMEOUT}


@pytest.mark.parametrize(
    ("failed", "responses", "verdict"),
    [
        pytest.param(0, 5000, Verdict.CLEAR, id="none"),
        pytest.param(2, 1998, Verdict.UNKNOWN, id="two, one in a thousand"),
        pytest.param(2, 1999, Verdict.CLEAR, id="two, just fewer than one in a thousand"),
        pytest.param(2, 2, Verdict.UNKNOWN, id="two of a handful"),
        pytest.param(1, 0, Verdict.UNKNOWN, id="the only one"),
        pytest.param(3, 2997, Verdict.FOUND, id="three, one in a thousand"),
        pytest.param(3, 3000, Verdict.UNKNOWN, id="three, just fewer than one in a thousand"),
        pytest.param(10, 0, Verdict.FOUND, id="all"),
    ],
)
def test_one_in_a_thousand_and_three_decide(failed: int, responses: int, verdict: Verdict) -> None:
    failures = {Failure.RESET_WAITING.value: failed} if failed else {}
    answer = check(make_run(load=with_failures(failures, responses=responses)))
    assert answer.verdict is verdict
    assert f"{failed} of {failed + responses} " in answer.claim
    assert evidence_of(answer)["failed_share"] == pytest.approx(failed / max(1, failed + responses))


@pytest.mark.parametrize("kind", sorted(set(Failure) - OTHERS))
def test_every_kind_of_failure_is_an_error_with_its_example(kind: Failure) -> None:
    answer = check(make_run(load=with_failures({kind.value: 100})))
    assert answer.verdict is Verdict.FOUND
    assert f"100 {kind.value.replace('_', ' ')}" in answer.claim
    assert evidence_of(answer)[kind.value] == 100
    assert evidence_of(answer)[f"example_{kind.value}"] == f"what {kind.value} looked like"


@pytest.mark.parametrize("kind", sorted(OTHERS))
def test_what_other_rules_judge_is_left_to_them(kind: Failure) -> None:
    answer = check(make_run(load=with_failures({kind.value: 100})))
    assert answer.verdict is Verdict.CLEAR
    assert kind.value not in evidence_of(answer)


def test_the_commonest_kind_comes_first() -> None:
    failures = {Failure.REFUSED.value: 10, Failure.BAD_FRAMING.value: 30}
    answer = check(make_run(load=with_failures(failures)))
    assert answer.claim.endswith("30 bad framing, 10 refused")
    assert answer.explains == pytest.approx(40 / 5040)


def test_requests_behind_an_announced_close_are_not_failures() -> None:
    answer = check(make_run(load=make_load(unanswered_at_close=5000)))
    assert answer.verdict is Verdict.CLEAR


def test_unknown_without_a_result() -> None:
    answer = check(make_run(load=None))
    assert answer.verdict is Verdict.UNKNOWN
    assert "no result" in answer.claim


def test_unknown_where_no_request_ended() -> None:
    load = make_load(responses=0, ok=0, unanswered=64, status_classes={})
    answer = check(make_run(load=load))
    assert answer.verdict is Verdict.UNKNOWN
    assert "no request was answered" in answer.claim


def test_requests_that_failed_while_draining_count() -> None:
    kind = Failure.RESET_WAITING.value
    load = make_load(failures={kind: 10}, drain_failures={kind: 20, Failure.TIMEOUT.value: 99})
    answer = check(make_run(load=load))
    assert answer.verdict is Verdict.FOUND
    assert evidence_of(answer)[kind] == 30
    assert "30 of 5030 requests failed" in answer.claim


class TestProbes:
    """Forms of a request that got no answer on the idle server, though it got one whole."""

    plain = ProbeCheck("plain", "get", "pass", "55")
    broken = ProbeCheck("fragmented", "get", "error", "closed before the response")

    def test_a_form_without_an_answer_is_found(self) -> None:
        answer = check(make_run(probes=(self.plain, self.broken)))
        assert answer.verdict is Verdict.FOUND
        assert "get is answered when it comes whole, but not fragmented: closed" in answer.claim
        assert "closed before" in str(evidence_of(answer)["probe"])
        assert answer.explains == pytest.approx(0.01)

    @pytest.mark.parametrize(
        "probes",
        [
            pytest.param((replace(plain, outcome="error"), broken), id="not answered whole either"),
            pytest.param((broken,), id="never sent"),
            pytest.param((replace(plain, name="second"), broken), id="never sent whole"),
            pytest.param((plain, replace(broken, template="post")), id="another template"),
            pytest.param((plain, replace(broken, outcome="fail")), id="a wrong answer"),
        ],
    )
    def test_others_are_left_to_other_rules(self, probes: tuple[ProbeCheck, ...]) -> None:
        assert check(make_run(probes=probes)).verdict is Verdict.CLEAR

    def test_failures_under_load_speak_first(self) -> None:
        load = with_failures({Failure.REFUSED.value: 100})
        answer = check(make_run(probes=(self.plain, self.broken), load=load))
        assert "100 of 5100 requests failed" in answer.claim
        assert "probe" in evidence_of(answer)


def test_a_form_without_an_answer_comes_with_its_exact_exchange() -> None:
    whole = ProbeCheck("plain", "get", "pass", "")
    cut = ProbeCheck("fragmented", "get", "error", "closed", 0.0, "GET / HTTP/1.1\r\n\r\n")
    rows = evidence_of(check(make_run(probes=(whole, cut))))
    assert rows["request"] == r"GET / HTTP/1.1\r\n\r\n"
    assert rows["response"] == "(none)"


def test_a_form_that_the_load_does_not_send_is_no_error() -> None:
    whole = ProbeCheck("plain", "post", "pass", "")
    chunked = ProbeCheck("chunked", "post", "differs", "no complete answer within 2 s")
    assert check(make_run(probes=(whole, chunked))).verdict is Verdict.CLEAR
