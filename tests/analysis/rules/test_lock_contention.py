"""lock_contention: threads sleep in a lock while requests go through one at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from diagnose.analysis.rules.lock_contention import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.analysis.parallel import (
    ACCEPT,
    EPOLL,
    FUTEX,
    READ,
    SLEEP,
    blind,
    idle_cores,
    process,
    threads,
)
from tests.builders import (
    SERVER_PID,
    Kernel,
    Process,
    evidence_of,
    make_profile,
    make_run,
    make_waits,
    ramp,
)


def per_connection(channel: str = FUTEX, running: float = 0.015, count: int = 64) -> Process:
    """A thread for each connection, beside the one that accepts; without a request it reads."""
    return process(
        *threads(1, ACCEPT, switches=0, running=0.0),
        *threads(count, channel, rest=READ, running=running, first=5000),
    )


def pool(channel: str = FUTEX, count: int = 16, running: float = 0.06) -> Process:
    """A pool behind a thread that waits for events."""
    return process(
        *threads(1, EPOLL, switches=300, running=0.05),
        *threads(count, channel, rest=FUTEX, running=running, switches=70, first=5000),
    )


@pytest.mark.parametrize(
    ("run", "why"),
    [
        pytest.param(idle_cores([per_connection()]), "0.96 of 2 cores", id="work in the lock"),
        pytest.param(
            idle_cores([per_connection(running=0.001)], rps=400, unloaded_s=0.0025),
            "0.06 of 2 cores",
            id="a wait in the lock",
        ),
        pytest.param(idle_cores([pool()], unread=40), "one at a time", id="a pool, and unread"),
        pytest.param(
            idle_cores([pool(running=0.01)], rps=400, unloaded_s=0.0025, runtime="cpython"),
            "one at a time",
            id="a pool of Python threads",
        ),
    ],
)
def test_found_where_threads_with_requests_take_turns(run: Run, why: str) -> None:
    answer = check(run)
    assert answer.verdict is Verdict.FOUND
    assert why in answer.claim
    assert answer.explains > 0.4


def workers(channel: str, running: float, count: int = 2) -> list[Process]:
    """Event loops in processes of their own."""
    return [
        process(
            *threads(1, channel, rest=EPOLL, running=running, switches=500, first=pid),
            pid=pid,
            share=1 / count,
        )
        for pid in range(5001, 5001 + count)
    ]


@pytest.mark.parametrize(
    ("channel", "running", "count", "verdict"),
    [
        pytest.param(FUTEX, 0.5, 2, Verdict.FOUND, id="two workers, shared memory"),
        pytest.param("locks_lock_inode_wait", 0.25, 4, Verdict.FOUND, id="four workers, a file"),
        pytest.param(EPOLL, 0.5, 2, Verdict.CLEAR, id="with half a core of work each"),
    ],
)
def test_a_lock_between_worker_processes(
    channel: str, running: float, count: int, verdict: Verdict
) -> None:
    answer = check(idle_cores(workers(channel, running, count), unread=50))
    assert answer.verdict is verdict


LOCK_STACKS = {"main;handle;__lll_lock_wait": 10, "main;handle;compute": 90}
GO_STACKS = {"main.handle;sync.(*Mutex).lockSlow;runtime.futex": 5, "main.handle;work": 95}


class TestProfile:
    """Calls of a contended lock decide where the threads do not: goroutines wait unseen."""

    def run(self, stacks: dict[str, int], running: float = 0.3) -> Run:
        members = threads(4, EPOLL, running=running, switches=900, first=5000)
        run = idle_cores([process(*members)], runtime="go")
        return replace(run, profiles=(make_profile(stacks),))

    def test_found_with_the_caller(self) -> None:
        answer = check(self.run(GO_STACKS))
        assert answer.verdict is Verdict.FOUND
        assert "5% in sync.(*Mutex).lockSlow, called by main.handle" in answer.claim

    @pytest.mark.parametrize(
        ("weight", "verdict"), [(1, Verdict.CLEAR), (2, Verdict.FOUND)], ids=["1 %", "2 %"]
    )
    def test_a_fiftieth_is_the_limit(self, weight: int, verdict: Verdict) -> None:
        stacks = {"f;__lll_lock_wait": weight, "f;work": 100 - weight}
        assert check(self.run(stacks)).verdict is verdict

    def test_a_lock_that_lets_many_through_is_not_the_reason(self) -> None:
        """Two cores and more run at once: whatever the lock costs, it does not serialize."""
        assert check(self.run(GO_STACKS, running=0.05)).verdict is not Verdict.FOUND

    def test_a_runtime_that_parks_its_threads_is_not_a_lock(self) -> None:
        stacks = {"runtime.mcall;runtime.findRunnable;runtime.futex": 20, "main;work": 80}
        assert check(self.run(stacks)).verdict is Verdict.CLEAR


@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        pytest.param(
            idle_cores([per_connection(SLEEP, 0.001)], rps=3100, unloaded_s=0.0205),
            Verdict.CLEAR,
            id="each waits for itself",
        ),
        pytest.param(
            idle_cores([per_connection(READ, 0.01)]), Verdict.CLEAR, id="reads from clients"
        ),
        pytest.param(
            idle_cores([pool(running=0.01)], rps=800, unloaded_s=0.02, unread=40),
            Verdict.CLEAR,
            id="a pool whose threads sleep side by side",
        ),
        pytest.param(
            idle_cores([pool(running=0.01)], rps=400, unloaded_s=0.0025),
            Verdict.UNKNOWN,
            id="an idle pool behind one worker",
        ),
        pytest.param(
            idle_cores([pool(running=0.01)]), Verdict.UNKNOWN, id="nothing tells of one at a time"
        ),
        pytest.param(
            idle_cores(
                [
                    process(
                        *threads(1, EPOLL, running=0.95, switches=300),
                        *threads(16, FUTEX, running=0.005, switches=70, first=5000),
                    )
                ],
                unread=40,
            ),
            Verdict.UNKNOWN,
            id="a pool that waits for its dispatcher",
        ),
        pytest.param(
            idle_cores([per_connection()], runtime="cpython"),
            Verdict.UNKNOWN,
            id="the interpreter's lock",
        ),
        pytest.param(
            idle_cores(
                [pool(running=0.01)],
                kernel=Kernel(delayed_acks=ramp((104.0, 0), (109.0, 5000))),
                p50_s=0.044,
            ),
            Verdict.UNKNOWN,
            id="delayed acknowledgments",
        ),
    ],
)
def test_what_looks_alike(run: Run, verdict: Verdict) -> None:
    assert check(run).verdict is verdict


def test_a_pool_of_as_many_threads_as_connections_may_be_idle() -> None:
    """The JDK's server with 64 threads: they sleep in the same call without a request, too."""
    members = threads(65, FUTEX, running=0.0174, first=5000)
    answer = check(idle_cores([process(*members)], runtime="jvm", unloaded_s=None))
    assert answer.verdict is Verdict.UNKNOWN
    assert "one worker behind a queue" in answer.claim


@pytest.mark.parametrize(
    ("asleep_in_lock", "verdict"),
    [(31, Verdict.UNKNOWN), (33, Verdict.FOUND)],
    ids=["under half", "over half"],
)
def test_half_of_the_time_is_the_limit(asleep_in_lock: int, verdict: Verdict) -> None:
    members = (
        *threads(asleep_in_lock, FUTEX, rest=READ, running=0.0156, first=5000),
        *threads(64 - asleep_in_lock, READ, running=0.0156, first=6000),
    )
    assert check(idle_cores([process(*members)])).verdict is verdict


@pytest.mark.parametrize(
    ("unloaded_s", "verdict"),
    [(0.0016, Verdict.FOUND), (0.0018, Verdict.UNKNOWN), (0.0026, Verdict.CLEAR)],
    ids=["1.6 at a time", "1.8 at a time", "2.6 at a time"],
)
def test_one_at_a_time_is_the_limit(unloaded_s: float, verdict: Verdict) -> None:
    run = idle_cores([per_connection(running=0.001)], unloaded_s=unloaded_s)
    assert check(run).verdict is verdict


@pytest.mark.parametrize(
    ("running", "unloaded_s", "verdict"),
    [
        pytest.param(0.06, 0.0024, Verdict.FOUND, id="one core's work"),
        pytest.param(0.06, 0.0026, Verdict.CLEAR, id="several at a time"),
        pytest.param(0.01, 0.0024, Verdict.UNKNOWN, id="hardly any work"),
    ],
)
def test_threads_that_stand_at_one_place_need_not_be_as_near(
    running: float, unloaded_s: float, verdict: Verdict
) -> None:
    standing = make_waits({"w;handle (app.py:3);one (app.py:9);futex_wait_queue": 90}, looks=30)
    run = replace(idle_cores([pool(running=running)], unloaded_s=unloaded_s), waits=(standing,))
    assert check(run).verdict is verdict


def test_a_cold_runtime_can_prove_it_but_not_refute_it() -> None:
    """The JVM's first requests are slow: at most so many were worked on at a time."""
    few: dict[str, Any] = {"runtime": "jvm", "unread": 40, "rps": 400}
    member = pool(running=0.01)
    assert check(idle_cores([member], unloaded_s=0.004, **few)).verdict is Verdict.FOUND
    assert check(idle_cores([member], unloaded_s=0.009, **few)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("run", "why"),
    [
        pytest.param(make_run(samples=()), "hardly sampled", id="no samples"),
        pytest.param(blind(idle_cores([pool(running=0.01)])), "could not be seen", id="places"),
    ],
)
def test_unknown_says_why(run: Run, why: str) -> None:
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert why in answer.claim


def test_full_cores_are_clear() -> None:
    assert check(make_run()).verdict is Verdict.CLEAR


def test_evidence_names_threads_and_switches() -> None:
    shown = evidence_of(check(idle_cores([per_connection()])))
    assert shown["threads"] == 64
    assert shown["lock_share"] == pytest.approx(0.985, abs=0.001)
    assert shown["switches_per_response"] == pytest.approx(64 * 20 / 1000, rel=0.05)
    assert SERVER_PID not in shown.values()
