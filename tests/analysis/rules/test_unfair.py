"""unfair: some connections are served far more often than others."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.unfair import check
from diagnose.model.finding import Verdict
from diagnose.model.load import Latency, Spread, TemplateResult
from diagnose.model.run import Run
from tests.builders import (
    evidence_of,
    make_load,
    make_run,
    make_samples,
    make_worker,
    two_workers,
)


def spread(
    p10: int, p90: int, *, p50: int = 100, connections: int = 64, busy: float = 0.5, **changes: Any
) -> Run:
    """Connections that got so many responses each."""
    numbers = Spread(connections, p10 - 5, p10, p50, p90, p90 + 5)
    samples = make_samples(two_workers(busy), host_busy=(busy, busy, 0.2, 0.2))
    return make_run(samples=samples, load=make_load(connection_responses=numbers, **changes))


@pytest.mark.parametrize(
    ("p10", "p90", "verdict"),
    [
        pytest.param(95, 105, Verdict.CLEAR, id="in turn"),
        pytest.param(60, 120, Verdict.CLEAR, id="twice"),
        pytest.param(60, 121, Verdict.UNKNOWN, id="over twice"),
        pytest.param(60, 179, Verdict.UNKNOWN, id="nearly three times"),
        pytest.param(60, 180, Verdict.FOUND, id="three times"),
        pytest.param(0, 200, Verdict.FOUND, id="some hardly at all"),
    ],
)
def test_the_best_served_tenth_against_the_worst(p10: int, p90: int, verdict: Verdict) -> None:
    answer = check(spread(p10, p90))
    assert answer.verdict is verdict
    assert evidence_of(answer)["responses_p90"] == p90


@pytest.mark.parametrize(
    ("silent", "verdict"),
    [
        pytest.param(-1, Verdict.CLEAR, id="not told"),
        pytest.param(0, Verdict.CLEAR, id="none"),
        pytest.param(1, Verdict.CLEAR, id="one of 64"),
        pytest.param(2, Verdict.FOUND, id="two of 64"),
    ],
)
def test_connections_that_got_nothing(silent: int, verdict: Verdict) -> None:
    answer = check(spread(95, 105, silent_connections=silent))
    assert answer.verdict is verdict
    if verdict is Verdict.FOUND:
        assert "2 connections got no response in the window, others 100 each" in answer.claim


def part(name: str, p50_s: float) -> TemplateResult:
    """Half of the responses, with this median."""
    return TemplateResult(name, 2500, 0, Latency(2500, p50_s, p50_s, p50_s, p50_s, p50_s, p50_s))


@pytest.mark.parametrize(
    ("second_s", "verdict"),
    [
        pytest.param(0.014, Verdict.FOUND, id="alike"),
        pytest.param(0.016, Verdict.UNKNOWN, id="of different cost"),
    ],
)
def test_connections_with_different_requests(second_s: float, verdict: Verdict) -> None:
    run = spread(50, 200, templates=(part("get", 0.01), part("sum", second_s)))
    assert check(run).verdict is verdict


@pytest.mark.parametrize(
    ("run", "why"),
    [
        pytest.param(make_run(load=None), "no result", id="no result"),
        pytest.param(
            make_run(load=make_load(connection_responses=None)), "stood through", id="not told"
        ),
        pytest.param(spread(50, 200, connections=7), "fewer than 8", id="few connections"),
        pytest.param(spread(1, 40, p50=15), "15 responses a connection", id="few responses"),
        pytest.param(spread(50, 200, generator="h2load"), "h2load", id="a driver"),
        pytest.param(
            spread(50, 200, workers=(make_worker(lag_share=0.6),)), "the generator's own", id="late"
        ),
    ],
)
def test_unknown_says_why(run: Run, why: str) -> None:
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert why in answer.claim


@pytest.mark.parametrize(
    ("p90", "verdict"), [(500, Verdict.UNKNOWN), (600, Verdict.FOUND)], ids=["9 times", "11 times"]
)
def test_full_cores_make_differences(p90: int, verdict: Verdict) -> None:
    assert check(spread(55, p90, busy=0.97)).verdict is verdict
