"""samples_missed: were enough samples taken, and how long was the longest gap?"""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.samples_missed import check
from diagnose.model.finding import Verdict
from tests.builders import WINDOW, WINDOW_S, evidence_of, make_load, make_run, make_samples


@pytest.mark.parametrize(
    ("rate_hz", "verdict"),
    [
        pytest.param(20.0, Verdict.CLEAR, id="all"),
        pytest.param(12.2, Verdict.CLEAR, id="just over three fifths"),
        pytest.param(11.5, Verdict.FOUND, id="just under three fifths"),
        pytest.param(0.5, Verdict.FOUND, id="a few"),
    ],
)
def test_share_of_samples_decides(rate_hz: float, verdict: Verdict) -> None:
    answer = check(make_run(samples=make_samples(rate_hz=rate_hz)))
    assert answer.verdict is verdict
    share = evidence_of(answer)["samples_taken_share"]
    assert share == pytest.approx(rate_hz / 20, rel=0.1, abs=0.02)


@pytest.mark.parametrize(
    ("gap", "verdict"),
    [
        pytest.param(0.9, Verdict.CLEAR, id="just under a second"),
        pytest.param(1.1, Verdict.FOUND, id="just over a second"),
    ],
)
def test_the_longest_gap_decides(gap: float, verdict: Verdict) -> None:
    samples = [
        sample for sample in make_samples() if not WINDOW + 1 < sample.t < WINDOW + 1 + gap - 0.001
    ]
    answer = check(make_run(samples=samples))
    assert answer.verdict is verdict
    assert evidence_of(answer)["longest_gap"] == pytest.approx(gap, abs=0.051)


def test_found_without_any_sample() -> None:
    answer = check(make_run(samples=()))
    assert answer.verdict is Verdict.FOUND
    assert answer.claim == f"0 of 100 samples were taken, the longest gap was {WINDOW_S:.2f} s"


def test_the_rate_of_the_run_is_what_is_due() -> None:
    run = make_run(samples=make_samples(rate_hz=5.0), sample_rate_hz=5.0)
    assert check(run).verdict is Verdict.CLEAR


@pytest.mark.parametrize(
    "load",
    [pytest.param(None, id="no result"), pytest.param(make_load(duration_s=0.49), id="too short")],
)
def test_unknown_without_a_window(load: object) -> None:
    answer = check(make_run(load=load))
    assert answer.verdict is Verdict.UNKNOWN
    assert "no result" in answer.claim


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(0.0, 3.2, id="ended in the window"),
        pytest.param(1.2, 5.0, id="began in the window"),
    ],
)
def test_a_sampler_that_did_not_last_the_window_leaves_a_gap(start: float, end: float) -> None:
    samples = [s for s in make_samples() if WINDOW + start <= s.t < WINDOW + end]
    answer = check(make_run(samples=samples))
    assert answer.verdict is Verdict.FOUND
    assert evidence_of(answer)["longest_gap"] == pytest.approx(max(start, WINDOW_S - end), abs=0.06)
