"""chunked_ignored: the same body chunked and with a Content-Length."""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.chunked_ignored import NOT_IN_LOAD, check
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
from tests.builders import GET, evidence_of


@pytest.mark.parametrize("outcome", ["fail", "error"], ids=["wrong", "no answer"])
def test_a_chunked_request_of_the_load_is_answered_wrong(outcome: str) -> None:
    run = forms_run(
        seen("plain", "get"),
        seen("plain", "chunk", outcome),
        seen("content_length", "chunk"),
        templates=(GET, CHUNKED),
    )
    answer = check(run)
    assert answer.verdict is Verdict.FOUND
    assert answer.claim.startswith("chunk, chunked: plain went wrong; with a Content-Length")
    assert evidence_of(answer)["chunked_request"] == "asked plain"
    assert evidence_of(answer)["content_length_response"] == "answered content_length"
    assert answer.explains == 0.5


def test_a_body_is_lost_that_the_load_sends_with_a_length() -> None:
    run = forms_run(seen("plain", "post"), seen("chunked", "post", "differs"), templates=(LENGTH,))
    answer = check(run)
    assert answer.verdict is Verdict.FOUND
    assert "this load sends it with a Content-Length" in answer.claim
    assert answer.explains == NOT_IN_LOAD


def test_a_long_body_was_made_shorter() -> None:
    run = forms_run(
        seen("plain", "upload"),
        seen("short_body", "upload"),
        seen("chunked", "upload", "differs"),
        templates=(UPLOAD,),
    )
    answer = check(run)
    assert answer.verdict is Verdict.FOUND
    assert evidence_of(answer)["content_length_request"] == "asked short_body"


@pytest.mark.parametrize(
    ("run", "said"),
    [
        pytest.param(
            forms_run(
                seen("plain", "post"),
                seen("chunked", "post", "differs", status=411),
                templates=(LENGTH,),
            ),
            "this load does not send it so",
            id="a refusal",
        ),
        pytest.param(
            forms_run(
                seen("plain", "post"),
                seen("chunked", "post", "differs", status=0),
                templates=(LENGTH,),
            ),
            "this load does not send it so",
            id="no answer",
        ),
        pytest.param(
            forms_run(
                seen("plain", "chunk", "fail"),
                seen("content_length", "chunk", "differs"),
                templates=(CHUNKED,),
            ),
            "wrong chunked and with a Content-Length",
            id="both wrong",
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
    run = forms_run(
        seen("plain", "post"),
        seen("plain", "chunk"),
        seen("chunked", "post"),
        seen("content_length", "chunk"),
        templates=(LENGTH, CHUNKED),
    )
    assert check(run).verdict is Verdict.CLEAR
