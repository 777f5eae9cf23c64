"""cpu_quota: the control group stops the server."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.cpu_quota import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.builders import (
    Kernel,
    evidence_of,
    make_run,
    make_samples,
    make_scenario,
    two_workers,
)


def limited(quota: float = 1.0, throttled: float = 0.9, **changes: Any) -> Run:
    """A server with two CPUs and a quota."""
    kernel = Kernel(quota=quota, throttled=throttled)
    return make_run(samples=make_samples(two_workers(quota / 2), kernel=kernel), **changes)


@pytest.mark.parametrize(
    ("throttled", "verdict"),
    [
        pytest.param(0.0, Verdict.CLEAR, id="never"),
        pytest.param(0.05, Verdict.UNKNOWN, id="one period in twenty"),
        pytest.param(0.2, Verdict.FOUND, id="one in five"),
        pytest.param(1.0, Verdict.FOUND, id="every one"),
    ],
)
def test_the_share_of_stopped_periods_decides(throttled: float, verdict: Verdict) -> None:
    assert check(limited(throttled=throttled)).verdict is verdict


def test_found_says_how_much_and_of_what() -> None:
    answer = check(limited(quota=0.5))
    assert answer.verdict is Verdict.FOUND
    assert "a CPU quota of 0.5 cores stopped the server in 90% of" in answer.claim
    assert "with 2 cores there" in answer.claim
    assert answer.explains == pytest.approx(0.75)
    assert evidence_of(answer)["server_cpu"] == pytest.approx(0.5)


def test_no_quota_is_clear() -> None:
    answer = check(limited(quota=-1.0))
    assert answer.verdict is Verdict.CLEAR
    assert "no CPU quota" in answer.claim


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        pytest.param(1, Verdict.CLEAR, id="the profile asks for it"),
        pytest.param(2, Verdict.FOUND, id="the profile gives more"),
        pytest.param(0, Verdict.FOUND, id="the profile gives all"),
    ],
)
def test_what_the_profile_gives_is_no_fault(asked: int, verdict: Verdict) -> None:
    run = limited(scenario=make_scenario(server_cores=asked))
    assert check(run).verdict is verdict


def test_unknown_without_figures_of_the_group() -> None:
    assert check(make_run(samples=())).verdict is Verdict.UNKNOWN
    samples = make_samples(kernel=None)
    assert "not sampled" in check(make_run(samples=samples)).claim


def test_unknown_over_too_few_periods() -> None:
    samples = make_samples(kernel=Kernel(quota=1.0, throttled=1.0), end=105.0)
    assert check(make_run(samples=samples)).verdict is Verdict.UNKNOWN
