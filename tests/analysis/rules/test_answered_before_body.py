"""answered_before_body: what came while half of a body was held back."""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.answered_before_body import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.analysis.rules.forms import (
    CHUNKED,
    GET_ONLY,
    LENGTH,
    NOT_PROBED,
    UPLOAD,
    forms_run,
    seen,
)
from tests.builders import evidence_of, make_load


def test_a_success_came_too_early() -> None:
    probe = seen("half_body", "upload", "differs", times_s=(0.0003, 0.0002))
    load = make_load(early_answers=17)
    answer = check(forms_run(seen("plain", "upload"), probe, templates=(UPLOAD,), load=load))
    assert answer.verdict is Verdict.FOUND
    assert "upload got a success 0.2 ms after its head" in answer.claim
    assert evidence_of(answer)["early_answers"] == 17
    assert evidence_of(answer)["response"] == "answered half_body"


def test_found_without_a_load() -> None:
    run = forms_run(seen("half_body", "upload", "differs"), templates=(UPLOAD,), load=None)
    assert check(run).verdict is Verdict.FOUND


@pytest.mark.parametrize("detail", ["no answer", "status 413, which may come before the body"])
def test_clear(detail: str) -> None:
    answer = check(forms_run(seen("half_body", "post", detail=detail), templates=(LENGTH,)))
    assert answer.verdict is Verdict.CLEAR
    assert detail in answer.claim


def test_most_answers_under_load_were_early_and_that_on_the_idle_server_was_not() -> None:
    probe = seen("half_body", "upload")
    early = make_load(responses=100, ok=100, early_answers=50)
    assert check(forms_run(probe, templates=(UPLOAD,), load=early)).verdict is Verdict.UNKNOWN
    late = make_load(responses=100, ok=100, early_answers=49)
    assert check(forms_run(probe, templates=(UPLOAD,), load=late)).verdict is Verdict.CLEAR


@pytest.mark.parametrize(
    ("run", "said"),
    [
        pytest.param(
            forms_run(seen("plain", "chunk"), templates=(CHUNKED,)),
            "chunked bodies only",
            id="chunks",
        ),
        pytest.param(
            forms_run(seen("plain", "post", "fail"), templates=(LENGTH,)),
            "was answered right before the load",
            id="wrong anyway",
        ),
        pytest.param(GET_ONLY, "sends no request with a body", id="no body"),
        pytest.param(NOT_PROBED, "before the probes", id="no probe"),
    ],
)
def test_unknown(run: Run, said: str) -> None:
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert said in answer.claim
