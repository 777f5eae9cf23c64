"""gil_bound: the threads of an interpreter share one core."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnose.analysis.rules.gil_bound import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.analysis.parallel import EPOLL, FUTEX, READ, blind, idle_cores, process, threads
from tests.builders import Process, evidence_of, make_launch, make_run

WIDE = {"cores": 8}


def pool(total: float, count: int = 16, channel: str = FUTEX, **changes: object) -> Process:
    """Equal threads that run so much together."""
    return process(*threads(count, channel, running=total / count, switches=300), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("total", "verdict"),
    [
        pytest.param(0.59, Verdict.CLEAR, id="far below one core"),
        pytest.param(0.61, Verdict.UNKNOWN, id="below one core"),
        pytest.param(0.79, Verdict.UNKNOWN, id="just below the limit"),
        pytest.param(0.81, Verdict.FOUND, id="nearly one core"),
        pytest.param(1.0, Verdict.FOUND, id="one core"),
        pytest.param(1.14, Verdict.FOUND, id="a little outside of the lock"),
        pytest.param(1.16, Verdict.UNKNOWN, id="more than one"),
        pytest.param(1.31, Verdict.CLEAR, id="threads run at once"),
    ],
)
def test_the_cores_of_all_threads_together_decide(total: float, verdict: Verdict) -> None:
    answer = check(idle_cores([pool(total)], runtime="cpython", cores=8))
    assert answer.verdict is verdict
    assert evidence_of(answer)["process_running"] == pytest.approx(total)


@pytest.mark.parametrize(("runtime", "lock"), [("cpython", "GIL"), ("ruby", "GVL")])
def test_found_names_the_lock_and_its_waiters(runtime: str, lock: str) -> None:
    answer = check(idle_cores([pool(1.0)], runtime=runtime, cores=8))
    assert answer.verdict is Verdict.FOUND
    assert f"while 15.0 waited in a lock: the {lock} lets one run at a time" in answer.claim
    assert answer.explains == pytest.approx(0.75)
    assert evidence_of(answer)["switches_per_response"] == pytest.approx(4.8, rel=0.02)


@pytest.mark.parametrize("runtime", ["go", "node", "jvm", "native", "ocaml"])
def test_other_runtimes_have_no_such_lock(runtime: str) -> None:
    assert check(idle_cores([pool(1.0)], runtime=runtime, cores=8)).verdict is Verdict.CLEAR


def test_a_loop_with_threads_for_the_work_is_bound_too() -> None:
    members = (
        *threads(1, FUTEX, rest=EPOLL, running=0.3, switches=1000),
        *threads(8, FUTEX, running=0.09, switches=200, first=5000),
    )
    answer = check(idle_cores([process(*members)], runtime="cpython", cores=8))
    assert answer.verdict is Verdict.FOUND


def test_one_thread_alone_is_not_held_back_by_the_lock() -> None:
    """single_threaded asks for it; more processes are its remedy too, more threads are not."""
    members = threads(1, EPOLL, running=0.98)
    answer = check(idle_cores([process(*members)], runtime="cpython", cores=8))
    assert answer.verdict is Verdict.CLEAR


@pytest.mark.parametrize(("unseen", "verdict"), [(0.19, Verdict.CLEAR), (0.3, Verdict.UNKNOWN)])
def test_threads_that_live_too_shortly_leave_it_open(unseen: float, verdict: Verdict) -> None:
    """A thread for each request: what runs is hardly ever there when threads are read."""
    members = threads(1, EPOLL, running=0.16, switches=1000)
    one = replace(process(*members), unseen=unseen)
    answer = check(idle_cores([one], runtime="cpython", cores=8))
    assert answer.verdict is verdict


def test_a_thread_at_its_limit_beside_helpers_is_not_bound() -> None:
    members = (
        *threads(1, EPOLL, running=0.91),
        *threads(4, FUTEX, running=0.03, first=5000),
    )
    run = idle_cores([process(*members)], runtime="cpython", cores=8)
    assert check(run).verdict is Verdict.CLEAR


def test_each_of_two_processes_may_be_bound() -> None:
    workers = [
        process(*threads(8, FUTEX, running=0.125, first=pid * 10), pid=pid) for pid in (5001, 5002)
    ]
    answer = check(idle_cores(workers, runtime="cpython", cores=8))
    assert answer.verdict is Verdict.FOUND
    assert "2 processes are like it" in answer.claim


def test_threads_that_wait_for_clients_do_not_wait_for_the_lock() -> None:
    answer = check(idle_cores([pool(1.0, channel=READ)], runtime="cpython", cores=8))
    assert answer.verdict is Verdict.UNKNOWN
    assert "hardly one waited for the lock" in answer.claim


def test_a_process_that_came_later_is_of_the_kind_of_the_others() -> None:
    run = idle_cores([pool(1.0)], launch=make_launch(runtimes={1: "cpython"}), cores=8)
    assert check(run).verdict is Verdict.FOUND


def test_a_build_that_can_run_without_the_lock_is_unknown() -> None:
    launch = make_launch(command=("/usr/bin/python3.13t", "app.py"), runtimes={4242: "cpython"})
    answer = check(idle_cores([pool(1.0)], launch=launch, cores=8))
    assert answer.verdict is Verdict.UNKNOWN
    assert "PYTHON_GIL=0" in answer.claim


@pytest.mark.parametrize(
    ("run", "why"),
    [
        pytest.param(make_run(samples=()), "hardly sampled", id="no samples"),
        pytest.param(idle_cores([pool(1.0)], runtime="", cores=8), "not known", id="no runtime"),
        pytest.param(
            blind(idle_cores([pool(1.0)], runtime="cpython", cores=8)),
            "could not be seen",
            id="places",
        ),
    ],
)
def test_unknown_says_why(run: Run, why: str) -> None:
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert why in answer.claim


def test_full_cores_are_clear() -> None:
    assert check(make_run()).verdict is Verdict.CLEAR
