"""length_not_read: the announced length, given back for a body that did not come or had none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnose.analysis.rules.length_not_read import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from diagnose.model.scenario import Expectation
from tests.analysis.rules.forms import (
    GET_ONLY,
    LENGTH,
    NOT_PROBED,
    UPLOAD,
    forms_run,
    seen,
)
from tests.builders import evidence_of, make_run, make_scenario


def test_half_of_a_body_is_answered_as_the_whole() -> None:
    run = forms_run(
        seen("plain", "upload"), seen("cut_body", "upload", "differs"), templates=(UPLOAD,)
    )
    answer = check(run)
    assert answer.verdict is Verdict.FOUND
    assert "half of the body of upload was sent" in answer.claim
    assert evidence_of(answer)["request"] == "asked cut_body"


def test_a_chunked_body_is_read_and_not_counted() -> None:
    run = forms_run(
        seen("plain", "upload"),
        seen("chunked", "upload", "differs", detail="body b'0', expected b'12345'"),
        seen("chunked_read", "upload", "differs"),
        seen("cut_body", "upload"),
        templates=(UPLOAD,),
    )
    answer = check(run)
    assert answer.verdict is Verdict.FOUND
    assert "read to its end and answered otherwise: body b'0'" in answer.claim
    assert evidence_of(answer)["chunked_response"] == "answered chunked"
    assert evidence_of(answer)["held_back_request"] == "asked chunked_read"


@pytest.mark.parametrize(
    "others",
    [
        pytest.param((), id="counted right chunked"),
        pytest.param(
            (seen("chunked", "upload", "differs"), seen("chunked_read", "upload")),
            id="chunks that were not read are another finding",
        ),
    ],
)
def test_clear(others: tuple[object, ...]) -> None:
    cut = seen("cut_body", "upload", detail="the connection was closed")
    answer = check(make_clear(cut, *others))
    assert answer.verdict is Verdict.CLEAR
    assert "the connection was closed" in answer.claim


def test_a_chunked_body_that_is_right_shows_that_bytes_are_counted() -> None:
    cut = seen("cut_body", "upload", response="", detail="the connection ended")
    run = forms_run(seen("chunked", "upload"), cut, templates=(UPLOAD,))
    assert check(run).verdict is Verdict.CLEAR


def make_clear(*probes: object) -> Run:
    return make_run(scenario=make_scenario(templates=(UPLOAD,)), probes=probes)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        pytest.param(
            forms_run(seen("plain", "post"), templates=(LENGTH,)),
            "no answer of this scenario is the length",
            id="sums",
        ),
        pytest.param(
            forms_run(seen("plain", "upload"), templates=(replace(UPLOAD, expect=Expectation()),)),
            "no answer of this scenario is the length",
            id="any answer is right",
        ),
        pytest.param(
            forms_run(seen("plain", "upload", "fail"), templates=(UPLOAD,)),
            "no upload was answered right",
            id="wrong anyway",
        ),
        pytest.param(
            make_run(
                scenario=make_scenario(templates=(UPLOAD,), tls=True),
                probes=(seen("half_body", "upload"),),
            ),
            "TLS",
            id="TLS",
        ),
        pytest.param(
            forms_run(
                seen("plain", "upload"),
                seen("chunked", "upload", "differs"),
                seen("cut_body", "upload", response="", detail="the connection ended"),
                templates=(UPLOAD,),
            ),
            "does not show what it counts",
            id="nothing came, and no chunked body was right",
        ),
        pytest.param(GET_ONLY, "sends no request with a body", id="no body"),
        pytest.param(NOT_PROBED, "before the probes", id="no probe"),
    ],
)
def test_unknown(run: Run, said: str) -> None:
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert said in answer.claim
