"""How late the load generator was."""

from __future__ import annotations

import pytest

from diagnose.analysis.generator import asleep_share, lag_share, worst_lag_share
from diagnose.model.load import WorkerCost
from tests.builders import make_load, make_run, make_worker


@pytest.mark.parametrize(
    ("worker", "share"),
    [
        pytest.param(make_worker(lag_share=0.4), 0.4, id="timed"),
        pytest.param(make_worker(lag_share=0.4, lag_samples=100), 0.4, id="just enough"),
        pytest.param(make_worker(lag_share=0.4, lag_samples=99), None, id="too few"),
        pytest.param(make_worker(lag_share=None), None, id="not timed"),
        pytest.param(make_worker(latency_p50_s=None), None, id="no latency"),
        pytest.param(make_worker(latency_p50_s=0.0), None, id="no time at all"),
    ],
)
def test_lag_is_a_share_of_the_median_latency(worker: WorkerCost, share: float | None) -> None:
    assert lag_share(worker) == (None if share is None else pytest.approx(share))


def test_asleep_is_a_share_of_the_window() -> None:
    assert asleep_share(make_worker(asleep=0.25)) == pytest.approx(0.25)


def test_a_worker_without_a_window_slept() -> None:
    assert asleep_share(make_worker(wall_s=0.0)) == 1.0


def test_the_worst_worker_counts() -> None:
    workers = (make_worker(lag_share=0.1), make_worker(1, lag_share=0.7), make_worker(2))
    assert worst_lag_share(make_run(load=make_load(workers=workers))) == pytest.approx(0.7)


@pytest.mark.parametrize(
    "load",
    [
        pytest.param(None, id="no result"),
        pytest.param(make_load(workers=()), id="no workers"),
        pytest.param(make_load(workers=(make_worker(lag_share=None),)), id="not timed"),
    ],
)
def test_nothing_measured_is_no_lag(load: object) -> None:
    assert worst_lag_share(make_run(load=load)) == 0.0
