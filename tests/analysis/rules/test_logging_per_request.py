"""logging_per_request: a file that grows with the responses, and what that costs."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.logging_per_request import check
from diagnose.model.finding import Verdict
from diagnose.model.run import LogExcerpt, Run
from tests.analysis.working import Files, growing, one_file, profile, share_of, with_files
from tests.builders import WARMUP, evidence_of, flat, make_load, make_run, make_samples

EMIT = "StreamHandler.emit (/usr/lib/python3.11/logging/__init__.py:1100)"
LOG = "/runs/x/server.log"


def logging(
    each: float | None,
    share: float | None,
    frame: str = EMIT,
    files: Files | None = None,
    **more: Any,
) -> Run:
    """each: bytes that the log grows by for each response; None: files were not looked at.
    share: of the profile in a logger; None: no profile."""
    samples = make_samples()
    if each is not None:
        samples = with_files(samples, files or one_file(LOG, growing(each)))
    profiles = [] if share is None else [profile(share_of(frame, share))]
    return make_run(samples=samples, profiles=profiles, **more)


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        pytest.param(0.0, Verdict.CLEAR, id="it costs nothing"),
        pytest.param(0.06, Verdict.CLEAR, id="just under the clear limit"),
        pytest.param(0.08, Verdict.UNKNOWN, id="just over the clear limit"),
        pytest.param(0.14, Verdict.UNKNOWN, id="just under the limit"),
        pytest.param(0.16, Verdict.FOUND, id="just over the limit"),
    ],
)
def test_a_line_for_each_response_and_its_cost(share: float, verdict: Verdict) -> None:
    answer = check(logging(90, share))
    assert answer.verdict is verdict
    assert evidence_of(answer)["log_bytes_per_response"] == pytest.approx(90, rel=0.01)


@pytest.mark.parametrize(
    ("each", "verdict"),
    [
        pytest.param(0, Verdict.UNKNOWN, id="nothing"),
        pytest.param(29, Verdict.UNKNOWN, id="just under half a line"),
        pytest.param(31, Verdict.FOUND, id="just over half a line"),
    ],
)
def test_so_much_must_be_written(each: float, verdict: Verdict) -> None:
    assert check(logging(each, 0.2)).verdict is verdict


def test_a_known_logger_is_enough_where_much_goes_elsewhere() -> None:
    assert check(logging(0, 0.26)).verdict is Verdict.FOUND
    assert check(logging(None, 0.26)).verdict is Verdict.FOUND
    assert check(logging(None, 0.26, "generic_perform_write")).verdict is not Verdict.FOUND


def test_writes_to_files_count_as_logging() -> None:
    answer = check(logging(90, 0.2, "generic_perform_write"))
    assert answer.verdict is Verdict.FOUND
    assert "generic_perform_write" in answer.claim


def test_the_claim_names_file_function_and_caller() -> None:
    claim = check(logging(90, 0.3)).claim
    assert "its output grew by 9" in claim
    assert "bytes for each response" in claim
    assert "StreamHandler.emit (logging/__init__.py:1100), called from handle" in claim


def test_a_line_is_shown() -> None:
    answer = check(logging(90, 0.3, log=LogExcerpt(loaded=("a", 'GET / 200 "-"'))))
    assert evidence_of(answer)["last_line"] == 'GET / 200 "-"'


def test_without_growth_and_without_a_logger_it_is_clear() -> None:
    assert check(logging(0, None)).verdict is Verdict.CLEAR
    assert check(logging(0, 0.0)).verdict is Verdict.CLEAR


def test_without_a_profile_the_cost_is_not_known() -> None:
    answer = check(logging(90, None))
    assert answer.verdict is Verdict.UNKNOWN
    assert "turned off" in answer.claim


def test_a_temporary_file_is_no_log() -> None:
    run = logging(90, 0.2, files=one_file("/tmp/tmpx (deleted)", growing(90)))
    assert check(run).verdict is not Verdict.FOUND


def test_a_log_that_is_opened_late_and_one_that_is_replaced() -> None:
    late = one_file(LOG, growing(90), since=WARMUP + 0.5)
    assert check(logging(90, 0.3, files=late)).verdict is Verdict.FOUND

    def replaced(t: float) -> Any:
        return one_file(LOG, flat(10 * t), since=t)(t)

    assert check(logging(90, 0.2, files=replaced)).verdict is not Verdict.FOUND


def test_unknown_where_nothing_was_looked_at() -> None:
    assert check(logging(None, None)).claim == "no profile was taken"
    assert check(logging(90, 0.3, load=make_load(responses=199))).verdict is Verdict.UNKNOWN
