"""keepalive_capped: after how many responses the server ended its connections."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.keepalive_capped import MIN_CLOSES, check
from diagnose.model.finding import Verdict
from diagnose.model.load import LoadResult, Spread
from tests.builders import (
    WINDOW,
    Process,
    evidence_of,
    make_load,
    make_run,
    make_samples,
    make_scenario,
)


def capped(limit: int, closes: int = 1000, **changes: Any) -> LoadResult:
    """Each connection ends after so many responses."""
    values: dict[str, Any] = {
        "responses": limit * closes,
        "server_closes": closes,
        "close_announced": closes,
        "opens": closes,
        "closes_after": {limit: closes},
    }
    return make_load(**{**values, **changes})


@pytest.mark.parametrize(
    ("limit", "tls", "verdict"),
    [
        pytest.param(1, False, Verdict.CLEAR, id="every response is another finding"),
        pytest.param(2, False, Verdict.FOUND, id="two"),
        pytest.param(20, False, Verdict.FOUND, id="twenty"),
        pytest.param(73, False, Verdict.FOUND, id="the largest found"),
        pytest.param(74, False, Verdict.UNKNOWN, id="just above it"),
        pytest.param(100, False, Verdict.UNKNOWN, id="Apache's default"),
        pytest.param(146, False, Verdict.UNKNOWN, id="just below clear"),
        pytest.param(147, False, Verdict.CLEAR, id="the smallest clear"),
        pytest.param(1000, False, Verdict.CLEAR, id="nginx's default"),
        pytest.param(100, True, Verdict.FOUND, id="a hundred with TLS"),
        pytest.param(1000, True, Verdict.CLEAR, id="a thousand with TLS"),
    ],
)
def test_the_cost_decides(limit: int, tls: bool, verdict: Verdict) -> None:
    answer = check(make_run(load=capped(limit), scenario=make_scenario(tls=tls)))
    assert answer.verdict is verdict
    assert evidence_of(answer)["responses_at_close"] == limit


def test_the_claim_names_the_limit() -> None:
    answer = check(make_run(load=capped(20)))
    assert "1,000 of 1,000 connections that the server closed ended after 20" in answer.claim
    assert "one request in 20" in answer.claim
    assert answer.explains == pytest.approx(0.11)


def test_some_end_otherwise() -> None:
    mostly = capped(20, closes_after={20: 800, 7: 200})
    assert check(make_run(load=mostly)).verdict is Verdict.FOUND
    hardly = capped(20, closes_after={20: 799, 7: 201})
    answer = check(make_run(load=hardly))
    assert answer.verdict is Verdict.CLEAR
    assert "different numbers" in answer.claim


def test_a_process_that_ended_takes_its_connections_along() -> None:
    samples = make_samples([Process(), Process(5001, died=WINDOW + 1)])
    answer = check(make_run(samples=samples, load=capped(20)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "workers that are replaced" in answer.claim


@pytest.mark.parametrize(
    ("responses", "verdict"),
    [(20 * 19, Verdict.UNKNOWN), (1_000_000, Verdict.CLEAR)],
    ids=["often", "seldom"],
)
def test_few_closes(responses: int, verdict: Verdict) -> None:
    load = capped(20, MIN_CLOSES - 1, responses=responses)
    assert check(make_run(load=load)).verdict is verdict


def test_no_close_says_how_far_connections_got() -> None:
    load = make_load(connection_responses=Spread(64, 70, 71, 75, 80, 90))
    answer = check(make_run(load=load))
    assert answer.verdict is Verdict.CLEAR
    assert "after up to 90 responses" in answer.claim
    client = check(make_run(load=load, scenario=make_scenario(requests_per_connection=10)))
    assert "the client closes after 10" in client.claim


@pytest.mark.parametrize(
    "load",
    [
        pytest.param(None, id="no result"),
        pytest.param(make_load(responses=0), id="no response"),
        pytest.param(make_load(generator="wrk"), id="a driver"),
    ],
)
def test_unknown(load: LoadResult | None) -> None:
    assert check(make_run(load=load)).verdict is Verdict.UNKNOWN
