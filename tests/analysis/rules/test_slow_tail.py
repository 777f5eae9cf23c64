"""slow_tail: the slowest hundredth takes many times as long as the median."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.slow_tail import check
from diagnose.model.finding import Verdict
from diagnose.model.load import Latency, TemplateResult
from diagnose.model.run import Run
from tests.builders import (
    Process,
    Thread,
    evidence_of,
    make_load,
    make_run,
    make_samples,
    make_worker,
    two_workers,
)


def latency(p50_s: float, p99_s: float, samples: int = 5000) -> Latency:
    """A distribution with this median and this tail."""
    return Latency(samples, p50_s, p50_s, p50_s * 2, p99_s, p99_s * 2, p99_s * 3)


def tail(p50_s: float, p99_s: float, *, busy: float = 0.5, **changes: Any) -> Run:
    """A server that leaves cores, with such a tail."""
    whole = latency(p50_s, p99_s)
    load = make_load(latency=whole, templates=(TemplateResult("get", 5000, 0, whole),), **changes)
    samples = make_samples(two_workers(busy), host_busy=(busy, busy, 0.2, 0.2))
    return make_run(samples=samples, load=load)


@pytest.mark.parametrize(
    ("p50_s", "p99_s", "verdict"),
    [
        pytest.param(0.010, 0.048, Verdict.CLEAR, id="under five times"),
        pytest.param(0.010, 0.060, Verdict.UNKNOWN, id="six times"),
        pytest.param(0.010, 0.099, Verdict.UNKNOWN, id="just under ten"),
        pytest.param(0.010, 0.101, Verdict.FOUND, id="over ten"),
        pytest.param(0.001, 0.049, Verdict.CLEAR, id="many times, but short"),
        pytest.param(0.001, 0.051, Verdict.FOUND, id="many times, and long"),
    ],
)
def test_both_limits_count(p50_s: float, p99_s: float, verdict: Verdict) -> None:
    answer = check(tail(p50_s, p99_s))
    assert answer.verdict is verdict
    assert evidence_of(answer)["p99_to_p50"] == pytest.approx(p99_s / p50_s)


def test_nearly_full_cores_are_none_to_spare() -> None:
    """gunicorn's gevent workers serve a connection while it has requests: p50 0.23 ms, p90 32 ms,
    p99 52 ms, with 13 % of the cores left."""
    assert check(tail(0.001, 0.06, busy=0.87)).verdict is Verdict.UNKNOWN
    assert check(tail(0.001, 0.06, busy=0.75)).verdict is Verdict.FOUND


@pytest.mark.parametrize(
    ("p50_s", "p99_s", "verdict"),
    [
        pytest.param(0.005, 0.19, Verdict.UNKNOWN, id="as the scheduler does"),
        pytest.param(0.005, 0.21, Verdict.FOUND, id="longer than it does"),
        pytest.param(0.012, 0.22, Verdict.UNKNOWN, id="under twenty times"),
    ],
)
def test_on_full_cores_answers_wait_for_their_turn(
    p50_s: float, p99_s: float, verdict: Verdict
) -> None:
    assert check(tail(p50_s, p99_s, busy=0.97)).verdict is verdict


@pytest.mark.parametrize(("p99_s", "verdict"), [(0.3, Verdict.UNKNOWN), (0.4, Verdict.FOUND)])
def test_many_ready_threads_make_long_turns(p99_s: float, verdict: Verdict) -> None:
    """Seventy threads that are ready, on two cores."""
    threads = tuple(Thread(5000 + n, 0.028, 0.97) for n in range(70))
    samples = make_samples((Process(threads=threads),), host_busy=(1.0, 1.0, 0.2, 0.2))
    whole = latency(0.005, p99_s)
    load = make_load(latency=whole, templates=(TemplateResult("get", 5000, 0, whole),))
    assert check(make_run(samples=samples, load=load)).verdict is verdict


@pytest.mark.parametrize(
    ("p50_s", "p999_s", "samples", "verdict"),
    [
        pytest.param(0.001, 1.4, 20_000, Verdict.FOUND, id="a connection that was dropped"),
        pytest.param(0.001, 1.4, 9_999, Verdict.CLEAR, id="seen too seldom"),
        pytest.param(0.001, 0.49, 20_000, Verdict.CLEAR, id="under half a second"),
        pytest.param(0.006, 0.59, 20_000, Verdict.CLEAR, id="under a hundred times"),
    ],
)
@pytest.mark.parametrize(
    ("busy", "connect_s"),
    [
        pytest.param(0.5, 0.001, id="cores to spare"),
        pytest.param(0.97, 1.03, id="full cores, a second to connect"),
    ],
)
def test_one_in_a_thousand_counts_where_it_is_far_out(
    p50_s: float, p999_s: float, samples: int, verdict: Verdict, busy: float, connect_s: float
) -> None:
    whole = Latency(samples, p50_s, p50_s, p50_s * 2, p50_s * 3, p999_s, p999_s * 2)
    part = TemplateResult("get", samples, 0, whole)
    load = make_load(latency=whole, templates=(part,), connect_max_s=connect_s)
    run = make_run(samples=tail(0.01, 0.01, busy=busy).samples, load=load)
    assert check(run).verdict is verdict


def test_one_in_a_thousand_on_full_cores_is_unknown() -> None:
    whole = Latency(20_000, 0.001, 0.001, 0.002, 0.003, 1.4, 2.8)
    load = make_load(latency=whole, templates=(TemplateResult("get", 20_000, 0, whole),))
    run = make_run(samples=tail(0.01, 0.01, busy=0.97).samples, load=load)
    assert check(run).verdict is Verdict.UNKNOWN


def test_templates_of_different_cost_are_judged_each_by_itself() -> None:
    quick, slow = latency(0.001, 0.004), latency(0.2, 0.4)
    both = (TemplateResult("get", 5000, 0, quick), TemplateResult("sum", 5000, 0, slow))
    run = tail(0.001, 0.4)
    answer = check(make_run(samples=run.samples, load=make_load(templates=both)))
    assert answer.verdict is Verdict.CLEAR


def test_found_names_the_template() -> None:
    both = (
        TemplateResult("get", 5000, 0, latency(0.001, 0.004)),
        TemplateResult("sum", 5000, 0, latency(0.01, 0.4)),
    )
    run = tail(0.001, 0.4)
    answer = check(make_run(samples=run.samples, load=make_load(templates=both)))
    assert answer.verdict is Verdict.FOUND
    assert "p99 of sum was 400.0 ms, 40.0 times the median of 10.00 ms" in answer.claim


def test_a_late_generator_may_be_the_tail() -> None:
    run = tail(0.01, 0.4, workers=(make_worker(lag_share=0.6),))
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert "the generator's own" in answer.claim


@pytest.mark.parametrize(
    ("run", "why"),
    [
        pytest.param(make_run(load=None), "no result", id="no result"),
        pytest.param(
            make_run(
                load=make_load(
                    latency=latency(0.01, 0.4, 999),
                    templates=(TemplateResult("get", 999, 0, latency(0.01, 0.4, 999)),),
                )
            ),
            "fewer than 1000 responses",
            id="few responses",
        ),
    ],
)
def test_unknown_says_why(run: Run, why: str) -> None:
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert why in answer.claim


def test_unknown_without_samples() -> None:
    run = tail(0.01, 0.4)
    answer = check(make_run(samples=(), load=run.load))
    assert answer.verdict is Verdict.UNKNOWN
    assert "not sampled" in answer.claim
