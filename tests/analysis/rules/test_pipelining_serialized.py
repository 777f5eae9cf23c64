"""pipelining_serialized: bursts of requests against one alone."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.pipelining_serialized import check
from diagnose.model.finding import Finding, Verdict
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import Protocol
from tests.builders import evidence_of, make_run, make_scenario

DEEP = make_scenario(pipeline=16)
FLAT = make_scenario()


def burst(single: float, small: float, large: float, **changes: Any) -> ProbeCheck:
    values: dict[str, Any] = {"outcome": "pass", "detail": "", "times_s": (single, small, large)}
    return ProbeCheck("pipelined", "get", **{**values, **changes})


def judged(probe: ProbeCheck | None, **changes: Any) -> Finding:
    probes = () if probe is None else (probe,)
    return check(make_run(**{"scenario": DEEP, "probes": probes, **changes}))


def test_a_timer_between_answers() -> None:
    answer = judged(burst(0.00013, 0.0167, 0.0867))
    assert answer.verdict is Verdict.FOUND
    assert "16 take 86.7 ms: 5.83 ms for each one more, 0.13 ms for one alone" in answer.claim
    assert evidence_of(answer)["one_more_request"] == pytest.approx(0.07 / 12)
    assert answer.explains > 0.9


@pytest.mark.parametrize(
    ("single", "more", "verdict"),
    [
        pytest.param(0.0001, 0.001001, Verdict.FOUND, id="a millisecond"),
        pytest.param(0.0001, 0.000999, Verdict.UNKNOWN, id="just below"),
        pytest.param(0.0001, 0.000501, Verdict.UNKNOWN, id="just above clear"),
        pytest.param(0.0001, 0.000499, Verdict.CLEAR, id="half a millisecond"),
        pytest.param(0.042, 0.042, Verdict.CLEAR, id="one after the other, as long as alone"),
        pytest.param(0.042, 0.0839, Verdict.CLEAR, id="just below twice"),
        pytest.param(0.042, 0.1, Verdict.UNKNOWN, id="between two and three times"),
        pytest.param(0.042, 0.1261, Verdict.FOUND, id="three times"),
        pytest.param(0.0005, -0.0001, Verdict.CLEAR, id="the larger one was quicker"),
    ],
)
def test_the_cost_of_one_more_decides(single: float, more: float, verdict: Verdict) -> None:
    assert judged(burst(single, 0.01, 0.01 + 12 * more)).verdict is verdict


def test_a_load_without_pipelining_is_not_slow_for_that() -> None:
    answer = judged(burst(0.0001, 0.015, 0.075), scenario=FLAT)
    assert answer.verdict is Verdict.UNKNOWN
    assert "-p 16" in answer.claim


@pytest.mark.parametrize(("scenario", "explains"), [(DEEP, 0.95), (FLAT, 0.01)])
def test_lost_answers(scenario: Any, explains: float) -> None:
    probe = burst(0, 0, 0, outcome="differs", detail="no complete answer within 3 s: 1 of 4 came")
    answer = judged(probe, scenario=scenario)
    assert answer.verdict is Verdict.FOUND
    assert "1 of 4 came" in answer.claim
    assert answer.explains == explains


def test_a_server_may_close_behind_an_answer() -> None:
    probe = burst(0, 0, 0, outcome="differs", detail="the connection was closed", closes=True)
    assert judged(probe).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({}, "ended before the probes", id="no probe at all"),
        pytest.param(
            {"probes": (ProbeCheck("plain", "get", "pass", ""),)}, "kept its connection", id="none"
        ),
        pytest.param({"scenario": make_scenario(protocol=Protocol.WS)}, "over ws", id="WebSocket"),
    ],
)
def test_unknown(changes: dict[str, Any], said: str) -> None:
    answer = judged(None, **changes)
    assert answer.verdict is Verdict.UNKNOWN
    assert said in answer.claim
