"""too_few_samples: seconds, samples and responses behind the figures."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.too_few_samples import check
from diagnose.model.finding import Verdict
from diagnose.model.load import Failure
from diagnose.model.run import MemoryGuard
from diagnose.model.scenario import RequestTemplate
from tests.builders import (
    GIB,
    WINDOW,
    ended,
    evidence_of,
    make_load,
    make_run,
    make_samples,
    make_scenario,
    with_failures,
)


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        pytest.param(0.949, Verdict.FOUND, id="just too short"),
        pytest.param(0.951, Verdict.CLEAR, id="a second by a late clock"),
    ],
)
def test_about_a_second_is_needed(seconds: float, verdict: Verdict) -> None:
    answer = check(make_run(load=make_load(duration_s=seconds)))
    assert answer.verdict is verdict
    assert evidence_of(answer)["window"] == seconds


@pytest.mark.parametrize(
    ("count", "verdict"),
    [pytest.param(9, Verdict.FOUND, id="nine"), pytest.param(10, Verdict.CLEAR, id="ten")],
)
def test_ten_samples_are_needed(count: int, verdict: Verdict) -> None:
    samples = [sample for sample in make_samples() if sample.t > WINDOW][:count]
    answer = check(make_run(samples=samples))
    assert answer.verdict is verdict
    assert evidence_of(answer)["samples"] == count


@pytest.mark.parametrize(
    ("responses", "verdict"),
    [
        pytest.param(0, Verdict.FOUND, id="none"),
        pytest.param(19, Verdict.FOUND, id="nineteen"),
        pytest.param(20, Verdict.CLEAR, id="twenty"),
    ],
)
def test_twenty_responses_are_needed(responses: int, verdict: Verdict) -> None:
    answer = check(make_run(load=make_load(responses=responses)))
    assert answer.verdict is verdict
    assert evidence_of(answer)["responses"] == responses


@pytest.mark.parametrize(
    "load",
    [
        pytest.param(with_failures({Failure.REFUSED.value: 1}, responses=0), id="failures"),
        pytest.param(
            make_load(responses=0, unanswered=64, unanswered_stalled_s=11.0),
            id="requests without an answer",
        ),
    ],
)
def test_few_responses_are_a_symptom_where_requests_failed_or_hang(load: object) -> None:
    assert check(make_run(load=load)).verdict is Verdict.CLEAR


def test_slow_requests_that_still_move_are_too_few() -> None:
    """A body of 20 MiB at 1 MiB/s takes longer than the window."""
    load = make_load(responses=0, unanswered=32, unanswered_stalled_s=0.05)
    upload = RequestTemplate("up", "POST", "/upload", body_length=20 << 20)
    scenario = make_scenario(templates=(upload,), send_rate=float(1 << 20))
    answer = check(make_run(load=load, scenario=scenario))
    assert answer.verdict is Verdict.FOUND
    assert "20 s at this --send-rate: measure -d 80" in answer.next_step


def test_found_without_a_result() -> None:
    answer = check(make_run(load=None))
    assert answer.verdict is Verdict.FOUND
    assert "lasted 0.0 s" in answer.claim


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"end": ended(1, "warmup")}, id="it ended"),
        pytest.param({"guard": MemoryGuard(GIB, True, 2 * GIB, WINDOW)}, id="it was stopped"),
    ],
)
def test_unknown_when_the_server_was_gone(changes: dict[str, Any]) -> None:
    answer = check(make_run(load=None, **changes))
    assert answer.verdict is Verdict.UNKNOWN
    assert "the server ended, or was stopped" in answer.claim
