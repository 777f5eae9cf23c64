"""connection_closed: how many connections the server ended per response."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from diagnose.analysis.rules.connection_closed import check
from diagnose.model.finding import Verdict
from diagnose.model.run import ProbeCheck
from tests.builders import (
    GET,
    WINDOW,
    Process,
    evidence_of,
    make_load,
    make_run,
    make_samples,
    make_scenario,
)


@pytest.mark.parametrize(
    ("closes", "verdict"),
    [
        pytest.param(0, Verdict.CLEAR, id="keeps all"),
        pytest.param(10, Verdict.CLEAR, id="one in a hundred"),
        pytest.param(15, Verdict.CLEAR, id="at the clear limit"),
        pytest.param(16, Verdict.UNKNOWN, id="just over the clear limit"),
        pytest.param(100, Verdict.UNKNOWN, id="after ten on purpose"),
        pytest.param(199, Verdict.UNKNOWN, id="just under one in five"),
        pytest.param(200, Verdict.FOUND, id="one in five"),
        pytest.param(350, Verdict.FOUND, id="keeps only some"),
        pytest.param(1000, Verdict.FOUND, id="every one"),
    ],
)
def test_closes_per_response_decide(closes: int, verdict: Verdict) -> None:
    load = make_load(responses=1000, opens=closes, server_closes=closes, close_announced=closes)
    answer = check(make_run(load=load))
    assert answer.verdict is verdict
    assert evidence_of(answer)["closes_per_response"] == pytest.approx(closes / 1000)


def test_the_thread_whose_reconnects_nobody_noticed() -> None:
    """vif's json: 40,733 reconnects for 40,717 responses."""
    load = make_load(
        connections=4096, responses=40_717, opens=40_733, server_closes=40_717, close_announced=0
    )
    answer = check(make_run(load=load, connections=4096))
    assert answer.verdict is Verdict.FOUND
    assert evidence_of(answer)["reconnects"] == 40_733
    assert "40717 connections over 40717 responses" in answer.claim
    assert "without announcing" in answer.claim


@pytest.mark.parametrize(
    ("announced", "said"),
    [
        pytest.param(1000, "responses, announced (", id="all announced"),
        pytest.param(500, "responses, announced (", id="half announced"),
        pytest.param(499, "without announcing", id="fewer announced"),
        pytest.param(0, "without announcing", id="none announced"),
    ],
)
def test_the_claim_says_whether_it_was_announced(announced: int, said: str) -> None:
    load = make_load(responses=1000, server_closes=1000, close_announced=announced)
    assert said in check(make_run(load=load)).claim


def test_reconnects_that_the_client_wanted_are_not_the_servers() -> None:
    """limited-conn: the client closes after ten requests."""
    load = make_load(responses=1000, opens=100, server_closes=0)
    assert check(make_run(load=load)).verdict is Verdict.CLEAR


def test_a_limit_of_requests_per_connection_is_unknown_and_named() -> None:
    answer = check(make_run(load=make_load(responses=1000, server_closes=100)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "one in 10" in answer.claim


@pytest.mark.parametrize(
    ("ended", "closes", "verdict"),
    [
        pytest.param(1, 350, Verdict.FOUND, id="one process"),
        pytest.param(2, 350, Verdict.UNKNOWN, id="two processes"),
        pytest.param(2, 15, Verdict.CLEAR, id="few closes"),
        pytest.param(2, 899, Verdict.UNKNOWN, id="just under nine in ten"),
        pytest.param(2, 900, Verdict.FOUND, id="nine in ten"),
    ],
)
def test_workers_that_are_replaced_close_their_connections(
    ended: int, closes: int, verdict: Verdict
) -> None:
    workers = [Process(5001 + n, died=WINDOW + 1 + n) for n in range(ended)]
    samples = make_samples([Process(), *workers])
    load = make_load(responses=1000, server_closes=closes, close_announced=closes)
    answer = check(make_run(samples=samples, load=load))
    assert answer.verdict is verdict
    assert ("processes ended" in answer.claim) == (verdict is Verdict.UNKNOWN)


@pytest.mark.parametrize(
    "load",
    [
        pytest.param(None, id="no result"),
        pytest.param(make_load(responses=0), id="no response"),
        pytest.param(make_load(responses=19, server_closes=19), id="19 responses"),
    ],
)
def test_unknown_with_few_responses(load: object) -> None:
    answer = check(make_run(load=load))
    assert answer.verdict is Verdict.UNKNOWN
    assert "fewer than 20 responses" in answer.claim


class TestProbes:
    """On the idle server, the answer to one template closed the connection."""

    closing = ProbeCheck("plain", "post", "pass", "55", closes=True)

    def test_a_closing_template_is_found_although_it_died_out_under_load(self) -> None:
        scenario = make_scenario(templates=(GET, replace(GET, name="post")))
        kept = ProbeCheck("plain", "get", "pass", "55")
        answer = check(make_run(probes=(kept, self.closing), scenario=scenario))
        assert answer.verdict is Verdict.FOUND
        assert "closed after the answer to post; others were kept" in answer.claim
        assert evidence_of(answer)["closing_templates"] == "post"
        assert answer.explains == pytest.approx(0.25)

    def test_the_load_speaks_first(self) -> None:
        load = make_load(responses=1000, server_closes=900)
        answer = check(make_run(probes=(self.closing,), load=load))
        assert "900 connections over 1000 responses" in answer.claim
        assert "closing_templates" not in evidence_of(answer)

    @pytest.mark.parametrize("load", [None, make_load(responses=19, server_closes=19)])
    def test_it_counts_where_the_load_has_few_responses(self, load: object) -> None:
        answer = check(make_run(probes=(self.closing,), load=load))
        assert answer.verdict is Verdict.FOUND
        assert "closed after the answer to post" in answer.claim

    @pytest.mark.parametrize(
        "change",
        [{"outcome": "fail"}, {"outcome": "error"}, {"name": "fragmented"}, {"closes": False}],
        ids=["wrong answer", "no answer", "another form", "kept"],
    )
    def test_other_closes_are_not_meant(self, change: dict[str, Any]) -> None:
        """A server may close after an answer that is an error."""
        answer = check(make_run(probes=(replace(self.closing, **change),)))
        assert answer.verdict is Verdict.CLEAR


def test_twenty_responses_are_enough() -> None:
    load = make_load(responses=20, server_closes=20)
    assert check(make_run(load=load)).verdict is Verdict.FOUND
