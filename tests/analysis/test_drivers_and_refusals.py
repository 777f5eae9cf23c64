"""What rules say where a driver told little, and where all answers were refusals."""

from __future__ import annotations

from diagnose.analysis.figures import figures
from diagnose.analysis.rules import (
    connection_closed,
    connections_missing,
    errors,
    hung,
    too_few_samples,
    wrong_answers,
)
from diagnose.model.finding import Verdict
from diagnose.model.load import FailureExample
from diagnose.model.scenario import Protocol
from tests.builders import make_load, make_run, make_scenario


def test_a_driver_without_any_response() -> None:
    run = make_run(load=make_load(generator="h2load", responses=0, ok=0, failures={}))
    answer = errors.check(run)
    assert answer.verdict is Verdict.FOUND
    assert "h2load got no response" in answer.claim
    assert too_few_samples.check(run).verdict is Verdict.UNKNOWN


def test_what_a_driver_does_not_tell_is_unknown() -> None:
    run = make_run(load=make_load(generator="wrk", bodies_checked=0, unanswered=0))
    for rule in (connection_closed, connections_missing, hung, wrong_answers):
        assert rule.check(run).verdict is Verdict.UNKNOWN, rule.__name__
    known = figures(run)
    assert (known.established, known.reconnects, known.unanswered) == (None, None, None)
    assert known.bytes_sent_per_s is None


def test_refused_upgrades_are_wrong_answers() -> None:
    load = make_load(
        responses=0,
        ok=0,
        failures={"wrong_status": 325},
        examples=(FailureExample("wrong_status", "", "upgrade refused"),),
    )
    scenario = make_scenario(protocol=Protocol.WS)
    run = make_run(load=load, scenario=scenario)
    answer = wrong_answers.check(run)
    assert answer.verdict is Verdict.FOUND
    assert "325 of 325" in answer.claim
    assert answer.evidence[0].value == 1.0
    assert ": :" not in answer.claim
    assert errors.check(run).verdict is Verdict.UNKNOWN
    assert "325 failed in other ways" in errors.check(run).claim
    assert connections_missing.check(run).verdict is Verdict.UNKNOWN


def test_closing_after_refusals_is_no_missing_keep_alive() -> None:
    load = make_load(
        responses=5000, ok=0, server_closes=5000, opens=5000, failures={"wrong_status": 5000}
    )
    answer = connection_closed.check(make_run(load=load))
    assert answer.verdict is Verdict.UNKNOWN
    assert "refusals" in answer.claim
