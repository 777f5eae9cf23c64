"""client_saturated: was the generator late, or never asleep?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from diagnose.analysis.rules.client_saturated import check
from diagnose.model.finding import Verdict
from diagnose.model.load import WorkerCost
from diagnose.model.run import Run
from tests.builders import (
    evidence_of,
    make_host,
    make_load,
    make_run,
    make_samples,
    make_worker,
    one_thread,
    two_workers,
)


def run_with(*workers: WorkerCost, **changes: Any) -> Run:
    """A run whose load had these workers."""
    load = make_load(workers=workers)
    return make_run(**{"load": load, **changes})


@pytest.mark.parametrize(
    ("lag_share", "verdict"),
    [
        pytest.param(0.0, Verdict.CLEAR, id="reads at once"),
        pytest.param(0.79, Verdict.CLEAR, id="just under the limit"),
        pytest.param(0.81, Verdict.FOUND, id="just over the limit"),
        pytest.param(1.0, Verdict.FOUND, id="all of the latency"),
    ],
)
def test_lag_decides_where_responses_were_timed(lag_share: float, verdict: Verdict) -> None:
    answer = check(run_with(make_worker(lag_share=lag_share, asleep=0.5)))
    assert answer.verdict is verdict
    assert evidence_of(answer)["lag_to_latency_p50"] == pytest.approx(lag_share)


@pytest.mark.parametrize(
    ("loss", "cores", "verdict"),
    [
        pytest.param(None, 1.0, Verdict.UNKNOWN, id="not put to the proof"),
        pytest.param(0.3, 1.0, Verdict.FOUND, id="proved"),
        pytest.param(0.3, 1.95, Verdict.UNKNOWN, id="proved, but the server is full too"),
        pytest.param(0.1, 1.0, Verdict.UNKNOWN, id="neither proved nor refuted"),
        pytest.param(0.02, 1.0, Verdict.CLEAR, id="refuted"),
    ],
)
def test_a_generator_that_never_sleeps_but_reads_at_once(
    loss: float | None, cores: float, verdict: Verdict
) -> None:
    worker = make_worker(lag_share=0.3, asleep=0.0, cpu=0.97)
    worker = replace(worker, spin_slowdown=loss, spin_s=1e-6)
    share = cores / 2
    samples = make_samples(one_thread(share, rest=share), host_busy=(share, share, 0.5, 0.5))
    answer = check(run_with(worker, samples=samples))
    assert answer.verdict is verdict, answer.claim


@pytest.mark.parametrize(
    ("asleep", "verdict"),
    [
        pytest.param(0.9, Verdict.CLEAR, id="mostly asleep"),
        pytest.param(0.051, Verdict.CLEAR, id="just over the limit"),
        pytest.param(0.049, Verdict.FOUND, id="just under the limit"),
        pytest.param(0.0, Verdict.FOUND, id="never asleep"),
    ],
)
@pytest.mark.parametrize(
    "untimed",
    [
        pytest.param({"lag_share": None}, id="no lag"),
        pytest.param({"lag_share": 0.9, "lag_samples": 99}, id="99 lags"),
        pytest.param({"lag_share": 0.9, "latency_p50_s": None}, id="no latency"),
    ],
)
def test_sleep_decides_where_responses_were_not_timed(
    asleep: float, verdict: Verdict, untimed: dict[str, Any]
) -> None:
    worker = make_worker(asleep=asleep, cpu=1 - asleep, **untimed)
    answer = check(run_with(worker))
    assert answer.verdict is verdict
    assert "lag_to_latency_p50" not in evidence_of(answer)
    assert evidence_of(answer)["generator_asleep_share"] == pytest.approx(asleep)


def test_a_hundred_lags_are_enough() -> None:
    assert check(run_with(make_worker(lag_share=0.9, lag_samples=100))).verdict is Verdict.FOUND


def test_a_starved_generator_is_found_although_its_cpu_time_is_low() -> None:
    """Waiting in the run queue is not sleep: CPU time alone would miss it."""
    answer = check(run_with(make_worker(lag_share=None, cpu=0.4, asleep=0.02)))
    assert answer.verdict is Verdict.FOUND


def test_the_worst_worker_decides_and_is_named() -> None:
    answer = check(run_with(make_worker(0), make_worker(1, lag_share=0.95), make_worker(2)))
    assert answer.verdict is Verdict.FOUND
    assert "load worker 1" in answer.claim
    assert answer.explains == 1.0


def test_the_worker_that_slept_least_is_the_worst_of_those_that_were_not_timed() -> None:
    workers = [make_worker(n, lag_share=None, asleep=a, cpu=0.1) for n, a in enumerate((0.9, 0.01))]
    answer = check(run_with(*workers))
    assert answer.verdict is Verdict.FOUND
    assert "load worker 1" in answer.claim


class TestSharedCores:
    """Server and generator on the same cores: neither is blamed when all of them are busy."""

    host = make_host(2, mode="shared")
    late = make_worker(lag_share=0.95, asleep=0.0)

    @pytest.mark.parametrize(
        ("busy", "verdict"),
        [
            pytest.param(1.0, Verdict.UNKNOWN, id="full"),
            pytest.param(0.901, Verdict.UNKNOWN, id="just full"),
            pytest.param(0.899, Verdict.FOUND, id="not quite full"),
            pytest.param(0.5, Verdict.FOUND, id="half idle"),
        ],
    )
    def test_full_cores_blame_nobody(self, busy: float, verdict: Verdict) -> None:
        samples = make_samples(two_workers(busy / 2), host_busy=(busy, busy))
        answer = check(run_with(self.late, samples=samples, host=self.host))
        assert answer.verdict is verdict
        assert evidence_of(answer)["busy_share"] == pytest.approx(busy)

    def test_full_cores_are_clear_when_the_generator_was_not_late(self) -> None:
        samples = make_samples(host_busy=(1.0, 1.0))
        answer = check(run_with(make_worker(), samples=samples, host=self.host))
        assert answer.verdict is Verdict.CLEAR

    def test_split_cores_do_not_excuse_the_generator(self) -> None:
        samples = make_samples(host_busy=(1.0, 1.0, 1.0, 1.0))
        assert check(run_with(self.late, samples=samples)).verdict is Verdict.FOUND

    def test_without_samples_the_generator_is_blamed(self) -> None:
        answer = check(run_with(self.late, samples=(), host=self.host))
        assert answer.verdict is Verdict.FOUND


@pytest.mark.parametrize(
    "load",
    [
        pytest.param(None, id="no result"),
        pytest.param(make_load(workers=()), id="no workers"),
        pytest.param(make_load(duration_s=0.49), id="half a second"),
    ],
)
def test_unknown_without_a_result(load: object) -> None:
    answer = check(make_run(load=load))
    assert answer.verdict is Verdict.UNKNOWN
    assert "no result" in answer.claim


def test_half_a_second_is_a_result() -> None:
    assert check(make_run(load=make_load(duration_s=0.5))).verdict is Verdict.CLEAR


def test_a_late_worker_is_found_beside_one_that_was_not_timed() -> None:
    untimed = make_worker(0, lag_share=None, asleep=0.1, cpu=0.9)
    late = make_worker(1, lag_share=0.85)
    assert check(run_with(late)).verdict is Verdict.FOUND
    assert check(run_with(untimed)).verdict is Verdict.CLEAR
    assert check(run_with(untimed, late)).verdict is Verdict.FOUND
