"""hung: requests without an answer, a byte or a hope."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnose.analysis.rules.hung import check
from diagnose.model.finding import Verdict
from diagnose.model.load import Failure, LoadResult
from tests.builders import ended, evidence_of, make_load, make_run, with_failures

TIMEOUT_S = 10.0


def hanging(stalled_s: float = 10.9, progress: bool = False, responses: int = 5000) -> LoadResult:
    """64 requests in flight at the end of the drain."""
    return make_load(
        unanswered=64,
        unanswered_stalled_s=stalled_s,
        drain_s=11.0,
        drain_progress=progress,
        responses=responses,
    )


@pytest.mark.parametrize(
    ("load", "explains"),
    [
        pytest.param(hanging(), 0.5, id="some"),
        pytest.param(hanging(TIMEOUT_S), 0.5, id="as long as the timeout"),
        pytest.param(hanging(responses=0), 1.0, id="all"),
    ],
)
def test_found_when_nothing_moves(load: LoadResult, explains: float) -> None:
    answer = check(make_run(load=load))
    assert answer.verdict is Verdict.FOUND
    assert evidence_of(answer)["unanswered"] == 64
    assert answer.explains == explains
    assert ("none was answered in the whole window" in answer.claim) == (explains == 1.0)


def test_clear_when_all_was_answered() -> None:
    answer = check(make_run(load=make_load(late_responses=64)))
    assert answer.verdict is Verdict.CLEAR
    assert "every request was answered" in answer.claim


def test_connections_that_are_starved_are_found() -> None:
    answer = check(make_run(load=hanging(progress=True)))
    assert answer.verdict is Verdict.FOUND
    assert "64 of 64 requests in flight were still not answered" in answer.claim
    assert "while other connections got 5,000 answers" in answer.claim


@pytest.mark.parametrize("progress", [False, True])
def test_a_long_queue_is_unknown(progress: bool) -> None:
    answer = check(make_run(load=hanging(9.99, progress)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "still at work" in answer.claim


def test_unknown_without_a_result() -> None:
    assert check(make_run(load=None)).verdict is Verdict.UNKNOWN


def test_unknown_when_the_server_died() -> None:
    answer = check(make_run(load=hanging(), end=ended(1)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "the run ended before" in answer.claim


def test_unknown_when_the_load_was_stopped() -> None:
    load = make_load(unanswered=64, unanswered_stalled_s=20.0, drain_progress=False)
    assert check(make_run(load=load)).verdict is Verdict.FOUND
    stopped = make_load(
        unanswered=64, unanswered_stalled_s=20.0, drain_progress=False, interrupted=True
    )
    assert check(make_run(load=stopped)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("timeouts", "responses", "verdict"),
    [
        pytest.param(2, 500, Verdict.CLEAR, id="two"),
        pytest.param(3, 2997, Verdict.FOUND, id="three, one in a thousand"),
        pytest.param(3, 2998, Verdict.CLEAR, id="three, just fewer than one in a thousand"),
        pytest.param(500, 500, Verdict.FOUND, id="half of them"),
    ],
)
def test_requests_that_stood_still_in_the_window_count(
    timeouts: int, responses: int, verdict: Verdict
) -> None:
    """All was answered in the end."""
    load = with_failures({Failure.TIMEOUT.value: timeouts}, responses=responses, ok=responses)
    answer = check(make_run(load=load))
    assert answer.verdict is verdict
    assert evidence_of(answer)["timeouts"] == timeouts
    if verdict is Verdict.FOUND:
        assert f"{timeouts} requests moved no byte for over 10 s" in answer.claim
        assert answer.explains == pytest.approx(timeouts / (timeouts + responses))


def test_requests_that_stood_still_count_beside_a_long_queue() -> None:
    load = replace(hanging(9.99, progress=True), failures={Failure.TIMEOUT.value: 500})
    assert check(make_run(load=load)).verdict is Verdict.FOUND
