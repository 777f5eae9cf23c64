"""content_type_dependent: the same body with and without a Content-Type."""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.content_type_dependent import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.analysis.rules.forms import (
    CHUNKED,
    GET_ONLY,
    LENGTH,
    NOT_PROBED,
    forms_run,
    seen,
)
from tests.builders import GET, evidence_of

RIGHT = "text/plain: answered right"


def test_a_type_makes_the_difference() -> None:
    run = forms_run(
        seen("plain", "get"),
        seen("plain", "post", "fail", detail="status 415, expected 2xx"),
        seen("with_content_type", "post", "differs", detail="application/octet-stream: status 415"),
        seen("with_content_type", "post", detail=RIGHT),
        templates=(GET, LENGTH),
    )
    answer = check(run)
    assert answer.verdict is Verdict.FOUND
    assert "post without a Content-Type: status 415" in answer.claim
    assert "Content-Type text/plain is answered right" in answer.claim
    assert evidence_of(answer)["without_request"] == "asked plain"
    assert evidence_of(answer)["with_response"] == "answered with_content_type"
    assert answer.explains == 0.5


def test_all_kinds_of_requests() -> None:
    run = forms_run(
        *(seen("plain", name, "fail") for name in ("post", "chunk")),
        *(seen("with_content_type", name, detail=RIGHT) for name in ("post", "chunk")),
        templates=(LENGTH, CHUNKED),
    )
    answer = check(run)
    assert answer.claim.startswith("all 2 kinds of requests without")
    assert answer.explains == 1.0


@pytest.mark.parametrize(
    ("run", "said"),
    [
        pytest.param(
            forms_run(
                seen("plain", "post"),
                seen("with_content_type", "post", "differs"),
                templates=(LENGTH,),
            ),
            "with another Content-Type it is not",
            id="a type that the load does not send",
        ),
        pytest.param(
            forms_run(
                seen("plain", "post"),
                seen("without_content_type", "post", "differs"),
                templates=(LENGTH,),
            ),
            "without its Content-Type it is not",
            id="the load sends a type",
        ),
        pytest.param(
            forms_run(
                seen("plain", "post", "fail"),
                seen("with_content_type", "post", "differs"),
                templates=(LENGTH,),
            ),
            "with any Content-Type and without",
            id="wrong either way",
        ),
        pytest.param(
            forms_run(seen("plain", "post", "error"), templates=(LENGTH,)),
            "no request with a body was answered",
            id="nothing to compare",
        ),
        pytest.param(GET_ONLY, "sends no request with a body", id="no body"),
        pytest.param(NOT_PROBED, "before the probes", id="no probe"),
    ],
)
def test_unknown(run: Run, said: str) -> None:
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert said in answer.claim


def test_both_right() -> None:
    run = forms_run(seen("plain", "post"), seen("with_content_type", "post"), templates=(LENGTH,))
    assert check(run).verdict is Verdict.CLEAR
