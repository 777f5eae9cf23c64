"""Was a worker the limit: the trial before the load and the proof after it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from diagnose.load import engine as engine_module
from diagnose.load.accounting import Spent
from diagnose.load.connection import TemplateState
from diagnose.load.engine import PROOF_EXTRA, PROOF_LEG_S, PROOF_LEGS, Engine
from diagnose.load.requests import prepare
from diagnose.load.tally import Tally
from diagnose.load.worker import (
    MIN_LAG_SAMPLES,
    SUSPECT_BUSY_SHARE,
    SUSPECT_LATE_SHARE,
    TRIAL_BUSY_SHARE,
    TRIAL_LATE_SHARE,
    Trial,
    _suspect,
    late_share,
)
from tests.load.rig import ANY, GET, Build, Rig

BEFORE, AFTER = Spent(10.0, 1.0, 0.0), Spent(15.0, 5.0, 0.2)


# -- the trial -----------------------------------------------------------------------------------

TRIALS = {
    "idle": (Trial(0.1, 0.0, 0.05), False),
    "nothing_timed": (Trial(0.5, 0.2, None), False),
    "late": (Trial(0.3, 0.0, TRIAL_LATE_SHARE + 0.01), True),
    "not_so_late": (Trial(0.3, 0.0, TRIAL_LATE_SHARE), False),
    "busy": (Trial(TRIAL_BUSY_SHARE + 0.01, 0.0, None), True),
    "not_so_busy": (Trial(TRIAL_BUSY_SHARE, 0.0, 0.0), False),
    "waiting_for_a_core": (Trial(0.5, 0.45, 0.1), True),
    "busy_and_never_late": (Trial(0.99, 0.0, 0.0), True),
}


@pytest.mark.parametrize(("trial", "limit"), TRIALS.values(), ids=TRIALS.keys())
def test_at_its_limit(trial: Trial, limit: bool) -> None:
    assert trial.at_its_limit is limit


# -- how late a worker reads ---------------------------------------------------------------------


def worker(lags: list[float], *latencies: list[float]) -> Engine:
    """What an engine has counted since its last mark."""
    tally = Tally()
    tally.late.record(lags)
    states = [TemplateState(template, prepare(template, "h:1")) for template in (GET, ANY)]
    for state, values in zip(states, latencies, strict=False):
        state.histogram.record(values)
    return cast(Engine, SimpleNamespace(tally=tally, states=states))


def test_late_share_is_of_the_median_latency() -> None:
    engine = worker([0.001] * MIN_LAG_SAMPLES, [0.004] * 10)
    assert late_share(engine) == pytest.approx(0.25, rel=5e-3)


def test_few_lags_say_nothing() -> None:
    assert late_share(worker([0.001] * (MIN_LAG_SAMPLES - 1), [0.004] * 10)) is None


def test_no_latency_says_nothing() -> None:
    assert late_share(worker([0.001] * MIN_LAG_SAMPLES)) is None


def test_what_anything_would_do_for_has_no_part_in_it() -> None:
    """As in the result: the latency of the load is that of the answers that are required."""
    engine = worker([0.001] * MIN_LAG_SAMPLES, [0.004] * 10, [9.0] * 100)
    assert late_share(engine) == pytest.approx(0.25, rel=5e-3)


@pytest.mark.parametrize(
    ("late", "busy", "suspect"),
    [
        (SUSPECT_LATE_SHARE + 0.05, 0.1, True),
        (SUSPECT_LATE_SHARE - 0.05, 0.1, False),
        (0.0, SUSPECT_BUSY_SHARE + 0.05, True),
        (0.0, SUSPECT_BUSY_SHARE - 0.05, False),
    ],
)
def test_suspect_by_any_sign(late: float, busy: float, suspect: bool) -> None:
    engine = worker([0.01 * late or 1e-6] * MIN_LAG_SAMPLES, [0.01] * 10)
    after = Spent(20.0, 1.0 + busy * 5, busy * 5)
    assert _suspect(engine, Spent(10.0, 1.0, 0.0), after) is suspect


# -- the proof -----------------------------------------------------------------------------------


def proving(
    build: Build, monkeypatch: pytest.MonkeyPatch, answers: Callable[[float], int]
) -> tuple[Rig, list[float]]:
    """An engine whose legs of load take no time and answer so much for each extra second."""
    rig = build(GET)
    clock = [100.0]
    spins: list[float] = []

    def run_until(phase: str, end: float, *_: Any) -> None:
        assert phase == "proof"
        assert end - clock[0] == pytest.approx(PROOF_LEG_S)
        spins.append(rig.engine._spin)
        rig.engine.tally.responses += answers(rig.engine._spin)
        clock[0] = end

    monkeypatch.setattr(rig.engine, "run_until", run_until)
    monkeypatch.setattr(engine_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    return rig, spins


def test_a_worker_that_was_the_limit_loses_throughput(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, spins = proving(build, monkeypatch, lambda spin: 200 if spin else 300)
    extra = PROOF_EXTRA * 4.0 / 1000
    assert rig.engine.prove(BEFORE, AFTER, 1000) == pytest.approx((extra, 1 / 3))
    assert spins == pytest.approx([0.0, extra] * (PROOF_LEGS // 2))
    assert rig.engine._spin == 0.0


def test_a_worker_with_time_to_spare_loses_nothing(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, _ = proving(build, monkeypatch, lambda _: 300)
    proof = rig.engine.prove(BEFORE, AFTER, 1000)
    assert proof is not None
    assert proof[1] == pytest.approx(0.0)


def test_more_throughput_with_extra_work_is_a_loss_below_zero(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, _ = proving(build, monkeypatch, lambda spin: 330 if spin else 300)
    proof = rig.engine.prove(BEFORE, AFTER, 1000)
    assert proof is not None
    assert proof[1] == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("after", "events"),
    [(AFTER, 99), (AFTER, 0), (Spent(15.0, 1.0, 0.0), 1000)],
    ids=["few_reads", "no_reads", "no_cpu_time"],
)
def test_too_little_proves_nothing(
    build: Build, monkeypatch: pytest.MonkeyPatch, after: Spent, events: int
) -> None:
    rig, spins = proving(build, monkeypatch, lambda _: 300)
    assert rig.engine.prove(BEFORE, after, events) is None
    assert spins == []


def test_a_server_that_answers_no_more_proves_nothing(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, _ = proving(build, monkeypatch, lambda _: 0)
    assert rig.engine.prove(BEFORE, AFTER, 1000) is None


def test_a_proof_that_is_stopped_proves_nothing(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, _ = proving(build, monkeypatch, lambda _: 300)
    rig.engine._stop = True
    assert rig.engine.prove(BEFORE, AFTER, 1000) is None
    assert rig.engine._spin == 0.0
