"""exception_storm: the share of raising, unwinding and describing."""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.exception_storm import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.analysis.working import profile, share_of
from tests.builders import evidence_of, make_run


def storming(
    share: float,
    frame: str = "_Unwind_RaiseException",
    profiler: str = "perf",
    rest: str = "srv;handle;work",
) -> Run:
    return make_run(profiles=[profile(share_of(frame, share, rest), profiler)])


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        pytest.param(0.0, Verdict.CLEAR, id="none"),
        pytest.param(0.079, Verdict.CLEAR, id="just under the clear limit"),
        pytest.param(0.081, Verdict.UNKNOWN, id="just over the clear limit"),
        pytest.param(0.199, Verdict.UNKNOWN, id="just under the limit"),
        pytest.param(0.201, Verdict.FOUND, id="just over the limit"),
    ],
)
def test_the_share_decides(share: float, verdict: Verdict) -> None:
    answer = check(storming(share))
    assert answer.verdict is verdict
    assert evidence_of(answer)["exceptions_share"] == pytest.approx(share)


@pytest.mark.parametrize(
    "frame",
    ["PyTraceBack_Here", "runtime.gopanic", "JVM_FillInStackTrace", "zend_fetch_debug_backtrace",
     "v8::internal::Isolate::CaptureSimpleStackTrace", "rb_ec_setup_exception", "IL_Throw"],
)  # fmt: skip
def test_in_several_languages(frame: str) -> None:
    answer = check(storming(0.3, frame))
    assert answer.verdict is Verdict.FOUND
    assert f"({frame}, called from handle)" in answer.claim


def test_py_spy_finds_formatting_and_clears_nothing() -> None:
    frame = "format_exc (/usr/lib/python3.11/traceback.py:184)"
    assert check(storming(0.3, frame, "py_spy")).verdict is Verdict.FOUND
    answer = check(storming(0.0, frame, "py_spy"))
    assert answer.verdict is Verdict.UNKNOWN
    assert "perf" in answer.claim


def test_a_profile_without_names_clears_nothing() -> None:
    assert check(storming(0.0, rest="srv;[server]")).verdict is Verdict.UNKNOWN


def test_unknown_without_a_profile() -> None:
    answer = check(make_run())
    assert answer.verdict is Verdict.UNKNOWN
    assert answer.claim == "no profile was taken"
