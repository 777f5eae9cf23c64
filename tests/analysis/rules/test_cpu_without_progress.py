"""cpu_without_progress: CPU time is used and nothing comes of it."""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.cpu_without_progress import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.builders import (
    GIB,
    UPLOADS,
    evidence_of,
    make_load,
    make_run,
    make_samples,
    make_scenario,
    two_workers,
)


def burning(cores: float, *, responses: int = 0, sent: float = 0.0, uploads: bool = True) -> Run:
    """So many cores for 5 s; body bytes sent."""
    samples = make_samples(two_workers(cores / 2))
    load = make_load(responses=responses, ok=responses, bytes_sent=int(sent), body_sent=int(sent))
    scenario = UPLOADS if uploads else make_scenario()
    return make_run(samples=samples, load=load, scenario=scenario)


@pytest.mark.parametrize(
    ("cores", "responses", "verdict"),
    [
        pytest.param(1.9, 0, Verdict.FOUND, id="two cores, nothing answered"),
        pytest.param(1.01, 0, Verdict.FOUND, id="a core"),
        pytest.param(0.99, 0, Verdict.CLEAR, id="less"),
        pytest.param(1.9, 1, Verdict.CLEAR, id="slow, but it answers"),
    ],
)
def test_without_a_response(cores: float, responses: int, verdict: Verdict) -> None:
    assert check(burning(cores, responses=responses, uploads=False)).verdict is verdict


@pytest.mark.parametrize(
    ("sent", "verdict"),
    [
        pytest.param(0.0, Verdict.FOUND, id="nothing taken"),
        pytest.param(0.9 * GIB, Verdict.FOUND, id="hardly anything for its CPU time"),
        pytest.param(1.1 * GIB, Verdict.CLEAR, id="bodies that take long"),
    ],
)
def test_bodies_that_are_taken_are_progress(sent: float, verdict: Verdict) -> None:
    """Ten CPU seconds in the window: two cores for five seconds."""
    assert check(burning(2.0, sent=sent)).verdict is verdict


def test_found_says_what_it_cost() -> None:
    answer = check(burning(1.9, sent=GIB / 4))
    assert "used 1.90 cores for 5 s and answered nothing, with 256.0 MiB sent to it" in answer.claim
    assert evidence_of(answer)["cpu_per_gib"] == pytest.approx(38, rel=0.01)
    assert answer.explains == 1.0


def test_answers_after_the_window_are_told() -> None:
    run = make_run(samples=make_samples(two_workers()), load=make_load(responses=0, ok=0,
                   late_responses=3))  # fmt: skip
    assert "(3 came after the window)" in check(run).claim


@pytest.mark.parametrize("changes", [{"samples": ()}, {"load": None}])
def test_unknown_when_it_was_not_seen(changes: dict[str, object]) -> None:
    assert check(make_run(**changes)).verdict is Verdict.UNKNOWN  # type: ignore[arg-type]
