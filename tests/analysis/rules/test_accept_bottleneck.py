"""accept_bottleneck: connections that found the accept queue full, or wait for a busy acceptor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from diagnose.analysis.rules.accept_bottleneck import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.analysis.parallel import ACCEPT, EPOLL, idle_cores, process, threads
from tests.builders import (
    CONNECT,
    DRAIN,
    WINDOW,
    Kernel,
    evidence_of,
    flat,
    make_load,
    make_run,
    make_samples,
    ramp,
)

FULL = flat(129)


def dropping(count: float, *, queue: float = 129, slowest_s: float = 0.001, opens: int = 0) -> Run:
    """So many overflows over connect and window, with a backlog of 128."""
    kernel = Kernel(
        overflows=ramp((CONNECT, 0), (DRAIN, count)), accept_queue=flat(queue), backlog=128
    )
    load = make_load(connect_max_s=slowest_s, opens=opens)
    return make_run(samples=make_samples(kernel=kernel), load=load)


@pytest.mark.parametrize(
    ("count", "opens", "verdict"),
    [
        pytest.param(0, 0, Verdict.CLEAR, id="none"),
        pytest.param(2.5, 0, Verdict.CLEAR, id="two"),
        pytest.param(5, 0, Verdict.FOUND, id="some"),
        pytest.param(20, 4936, Verdict.CLEAR, id="fewer than one in two hundred"),
        pytest.param(40, 4936, Verdict.FOUND, id="more than one in two hundred"),
    ],
)
def test_how_many_overflows(count: float, opens: int, verdict: Verdict) -> None:
    answer = check(dropping(count, opens=opens, slowest_s=1.02))
    assert answer.verdict is verdict


@pytest.mark.parametrize(
    ("queue", "slowest_s", "verdict"),
    [
        pytest.param(129, 0.001, Verdict.FOUND, id="its queue was full"),
        pytest.param(0, 1.01, Verdict.FOUND, id="a connection took a second"),
        pytest.param(128, 0.9, Verdict.UNKNOWN, id="neither: another port's, perhaps"),
    ],
)
def test_the_counters_are_of_the_whole_namespace(
    queue: float, slowest_s: float, verdict: Verdict
) -> None:
    assert check(dropping(50, queue=queue, slowest_s=slowest_s)).verdict is verdict


def test_found_names_backlog_and_delay() -> None:
    answer = check(dropping(50, slowest_s=3.1))
    assert "(backlog 128); connecting took up to 3.1 s" in answer.claim
    assert evidence_of(answer)["accept_queue"] == 129


def test_a_full_queue_without_counters_is_unknown() -> None:
    samples = make_samples(kernel=Kernel(accept_queue=FULL, backlog=128))
    samples = tuple(msgspec.structs.replace(sample, network=None) for sample in samples)
    answer = check(make_run(samples=samples))
    assert answer.verdict is Verdict.UNKNOWN
    assert "what it dropped is not known" in answer.claim


def churning(busy: float, *, queue: float = 48, opens: int = 5000, rest: str = ACCEPT) -> Run:
    """Every response ends its connection; a thread accepts for the others."""
    members = (
        *threads(1, ACCEPT, running=busy, rest=rest, switches=900),
        *threads(8, EPOLL, running=0.05, first=5000),
    )
    kernel = Kernel(accept_queue=flat(queue), backlog=1024)
    run = idle_cores([process(*members)], kernel=kernel, cores=8)
    assert run.load is not None
    return replace(run, load=replace(run.load, opens=opens))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        pytest.param({"busy": 0.95}, Verdict.FOUND, id="the acceptor is at its limit"),
        pytest.param({"busy": 0.85}, Verdict.CLEAR, id="it waits for the workers"),
        pytest.param({"busy": 0.95, "queue": 31}, Verdict.CLEAR, id="few wait to be accepted"),
        pytest.param({"busy": 0.95, "opens": 200}, Verdict.CLEAR, id="connections are kept"),
        pytest.param({"busy": 0.95, "rest": EPOLL}, Verdict.CLEAR, id="a loop that serves too"),
    ],
)
def test_one_acceptor_at_its_limit(changes: dict[str, Any], verdict: Verdict) -> None:
    assert check(churning(**changes)).verdict is verdict


def test_unknown_without_samples() -> None:
    assert check(make_run(samples=())).verdict is Verdict.UNKNOWN
    assert check(make_run(load=None)).verdict is Verdict.UNKNOWN


def test_overflows_outside_of_the_load_do_not_count() -> None:
    kernel = Kernel(overflows=ramp((DRAIN + 0.6, 0), (DRAIN + 1, 500)), accept_queue=FULL)
    assert check(make_run(samples=make_samples(kernel=kernel))).verdict is Verdict.CLEAR
    assert WINDOW < DRAIN
