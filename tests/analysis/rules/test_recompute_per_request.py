"""recompute_per_request: the same answers, and the work that goes into them."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.recompute_per_request import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from diagnose.model.scenario import RequestTemplate
from tests.analysis.working import profile, share_of, templates
from tests.builders import evidence_of, make_load, make_run, make_scenario

PARSE = "loads (/usr/lib/python3.11/json/__init__.py:346)"
WRITE = "encoding/json.(*encodeState).marshal"


def making(frame: str, share: float, rest: str = "srv;handle;work", **load: Any) -> Run:
    changes = {**templates(), **load}
    return make_run(load=make_load(**changes), profiles=[profile(share_of(frame, share, rest))])


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        pytest.param(0.0, Verdict.CLEAR, id="none"),
        pytest.param(0.09, Verdict.CLEAR, id="just under the clear limit"),
        pytest.param(0.2, Verdict.UNKNOWN, id="between"),
        pytest.param(0.32, Verdict.UNKNOWN, id="just under the limit"),
        pytest.param(0.34, Verdict.FOUND, id="just over the limit"),
    ],
)
def test_parsing_what_nobody_sent(share: float, verdict: Verdict) -> None:
    answer = check(making(PARSE, share))
    assert answer.verdict is verdict
    assert evidence_of(answer)["parsing_share"] == pytest.approx(share)


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        pytest.param(0.39, Verdict.CLEAR, id="as a healthy server"),
        pytest.param(0.41, Verdict.UNKNOWN, id="just over the clear limit"),
        pytest.param(0.79, Verdict.UNKNOWN, id="just under the limit"),
        pytest.param(0.81, Verdict.FOUND, id="just over the limit"),
        pytest.param(0.95, Verdict.FOUND, id="nearly all"),
    ],
)
def test_serializing_the_same(share: float, verdict: Verdict) -> None:
    answer = check(making(WRITE, share))
    assert answer.verdict is verdict
    if verdict is Verdict.UNKNOWN:
        assert "contract" in answer.claim


def test_the_claim_names_function_and_caller() -> None:
    claim = check(making(PARSE, 0.6)).claim
    assert "loads (json/__init__.py:346), called from handle" in claim


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(templates(bodies=2), id="two bodies"),
        pytest.param(templates(bodies=64), id="many bodies"),
        pytest.param(templates(length=300), id="short"),
    ],
)
def test_answers_that_differ_or_are_short_are_clear(changes: dict[str, Any]) -> None:
    answer = check(making(WRITE, 0.95, **changes))
    assert answer.verdict is Verdict.CLEAR
    assert "differ" in answer.claim


def test_few_responses_tell_nothing() -> None:
    assert check(making(WRITE, 0.95, **templates(responses=199))).verdict is Verdict.UNKNOWN
    assert check(making(WRITE, 0.95, **templates(responses=200))).verdict is Verdict.FOUND


def test_bodies_that_are_brought_have_to_be_parsed() -> None:
    template = RequestTemplate("get", "POST", "/", body="x" * 1000)
    run = make_run(
        load=make_load(**templates()),
        profiles=[profile(share_of(PARSE, 0.9))],
        scenario=make_scenario(templates=(template,)),
    )
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert "bring bodies" in answer.claim


def test_a_profile_without_names_clears_nothing() -> None:
    assert check(making(WRITE, 0.1, rest="srv;[server]")).verdict is Verdict.UNKNOWN


def test_unknown_without_a_profile_or_without_bodies_seen() -> None:
    answer = check(make_run(load=make_load(**templates())))
    assert (answer.verdict, answer.claim) == (Verdict.UNKNOWN, "no profile was taken")
    answer = check(making(WRITE, 0.95, **templates(bodies=-1)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "not told" in answer.claim
