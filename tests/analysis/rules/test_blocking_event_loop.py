"""blocking_event_loop: the thread that waits for events sits in another call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnose.analysis.rules.blocking_event_loop import check
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
from tests.builders import SERVER_PID, Kernel, Thread, evidence_of, flat, make_run, ramp


def loop(
    channel: str, *, running: float = 0.04, switches: float = 190.0, tid: int = SERVER_PID
) -> tuple[Thread, ...]:
    """One event loop, which sleeps there under load."""
    return threads(
        1, channel, running=running, rest=EPOLL, switches=switches, first=tid, name="loop"
    )


@pytest.mark.parametrize(
    ("channel", "call"),
    [
        pytest.param(SLEEP, "a sleep", id="sleep"),
        pytest.param(READ, "a blocking socket call", id="blocking driver"),
        pytest.param("do_wait", "a wait for a child process", id="child"),
        pytest.param("anon_pipe_read", "a pipe", id="pipe"),
        pytest.param("folio_wait_bit_common", "a wait for storage", id="disk"),
        pytest.param(FUTEX, "a lock or an empty queue", id="lock"),
    ],
)
def test_found_in_any_call_that_waits(channel: str, call: str) -> None:
    answer = check(idle_cores([process(*loop(channel))], unread=60))
    assert answer.verdict is Verdict.FOUND
    assert f"sat in {call} for 96% of the time" in answer.claim
    assert "60 requests lay unread" in answer.claim
    assert answer.explains == pytest.approx(0.98)


def test_found_for_each_of_several_workers() -> None:
    workers = [process(*loop(SLEEP, tid=pid), pid=pid, share=0.5, parent=1) for pid in (5001, 5002)]
    answer = check(idle_cores(workers, unread=20))
    assert answer.verdict is Verdict.FOUND
    assert ", as did 1 other loop," in answer.claim


def test_a_loop_that_waits_for_events_is_clear() -> None:
    """Timers and backends that are awaited: nothing lies unread, and the loop is in epoll."""
    answer = check(idle_cores([process(*loop(EPOLL))], unloaded_s=0.02))
    assert answer.verdict is Verdict.CLEAR
    assert evidence_of(answer)["held_up_share"] == 0


@pytest.mark.parametrize(
    ("channel", "unread", "unloaded_s", "verdict"),
    [
        pytest.param(SLEEP, 7, None, Verdict.FOUND, id="a tenth lies unread"),
        pytest.param(SLEEP, 5, None, Verdict.UNKNOWN, id="nobody waits"),
        pytest.param(SLEEP, 0, 0.0014, Verdict.FOUND, id="one at a time"),
        pytest.param(SLEEP, 0, 0.0016, Verdict.UNKNOWN, id="more than one at a time"),
        pytest.param(FUTEX, 15, None, Verdict.CLEAR, id="an idle scheduler sleeps in futex"),
        pytest.param(FUTEX, 17, None, Verdict.FOUND, id="but leaves nothing unread"),
        pytest.param(EPOLL, 15, None, Verdict.CLEAR, id="a few that came just now"),
        pytest.param(EPOLL, 17, None, Verdict.UNKNOWN, id="a loop of its own inside"),
    ],
)
def test_what_waits_meanwhile_decides(
    channel: str, unread: float, unloaded_s: float | None, verdict: Verdict
) -> None:
    run = idle_cores([process(*loop(channel))], unread=unread, unloaded_s=unloaded_s)
    assert check(run).verdict is verdict


@pytest.mark.parametrize(
    ("running", "verdict"),
    [
        pytest.param(0.51, Verdict.UNKNOWN, id="works more than it is held up"),
        pytest.param(0.49, Verdict.FOUND, id="is held up for half"),
    ],
)
def test_half_of_the_time_is_the_limit(running: float, verdict: Verdict) -> None:
    answer = check(idle_cores([process(*loop(SLEEP, running=running))], unread=60))
    assert answer.verdict is verdict


def test_a_busy_interpreter_waits_for_its_own_lock() -> None:
    """The loop of a process bound by its lock sleeps in a futex too; its pool does the work."""
    members = (
        *loop(FUTEX, running=0.25),
        *threads(16, FUTEX, running=0.05, switches=300, first=5000),
    )
    run = idle_cores([process(*members)], unread=40, runtime="cpython")
    assert check(run).verdict is not Verdict.FOUND


@pytest.mark.parametrize(("unseen", "verdict"), [(0.0, Verdict.FOUND), (0.7, Verdict.CLEAR)])
def test_threads_for_each_request_hold_the_lock_of_the_interpreter(
    unseen: float, verdict: Verdict
) -> None:
    """The accepting thread of a development server waits for threads that live too shortly to be
    seen: only the process's own total shows them."""
    one = replace(process(*loop(FUTEX, running=0.16)), unseen=unseen)
    assert check(idle_cores([one], unread=30)).verdict is verdict


def test_workers_behind_one_lock_are_not_blocked_by_themselves() -> None:
    """Each of two loops runs half of the time and waits for the other half."""
    workers = [
        process(*loop(FUTEX, running=0.5, tid=pid), pid=pid, share=0.5, parent=1)
        for pid in (5001, 5002)
    ]
    assert check(idle_cores(workers, unread=60)).verdict is Verdict.CLEAR


def test_a_dispatcher_that_rests_beside_a_busy_pool_is_clear() -> None:
    members = (
        *loop(EPOLL),
        *threads(4, SLEEP, rest=FUTEX, switches=50, first=5000),
    )
    run = idle_cores([process(*members)], unread=60, rps=200)
    assert check(run).verdict is Verdict.CLEAR


def test_workers_that_accept_one_connection_at_a_time_are_no_event_loops() -> None:
    worker = process(*loop(SLEEP), share=1 / 64)
    kernel = Kernel(accept_queue=flat(62), backlog=2048)
    answer = check(idle_cores([worker], unread=62, kernel=kernel))
    assert answer.verdict is Verdict.CLEAR
    assert "wait to be accepted" in answer.claim


def test_threads_for_each_connection_are_no_event_loops() -> None:
    acceptor = threads(1, ACCEPT, first=SERVER_PID, switches=0)
    members = (*acceptor, *threads(64, SLEEP, first=5000))
    assert check(idle_cores([process(*members)], unread=60)).verdict is Verdict.CLEAR


def test_delayed_acknowledgments_are_another_cause() -> None:
    acks = ramp((104.0, 0), (109.0, 5000))
    kernel = Kernel(delayed_acks=acks)
    run = idle_cores([process(*loop(SLEEP))], unread=60, kernel=kernel, p50_s=0.044)
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert "delayed acknowledgments" in answer.claim


@pytest.mark.parametrize(
    ("run", "why"),
    [
        pytest.param(make_run(samples=()), "hardly sampled", id="no samples"),
        pytest.param(
            blind(idle_cores([process(*loop(SLEEP))], unread=60)), "could not be seen", id="places"
        ),
        pytest.param(
            idle_cores([process(*loop(SLEEP))], unread=3, connections=3),
            "3.0 requests in flight cannot keep 2 cores busy",
            id="too few requests",
        ),
    ],
)
def test_unknown_says_why(run: Run, why: str) -> None:
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert why in answer.claim


def test_full_cores_are_clear() -> None:
    assert check(make_run()).verdict is Verdict.CLEAR
