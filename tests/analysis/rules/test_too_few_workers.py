"""too_few_workers: all workers are occupied, by work or by waiting, and requests queue."""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.too_few_workers import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.analysis.parallel import (
    EPOLL,
    FUTEX,
    READ,
    SLEEP,
    blind,
    idle_cores,
    process,
    threads,
)
from tests.builders import Kernel, Thread, evidence_of, flat, make_run, ramp

CORES = 64
MANY = {"cores": CORES, "connections": 512}


def busy(count: int, running: float = 0.97, waiting: float = 0.0) -> tuple[Thread, ...]:
    """Threads at their limit."""
    return threads(count, EPOLL, running=running, waiting=waiting, switches=100)


class TestBusyWorkers:
    """Threads at their limit, on a machine of 64 cores of which the server has 32."""

    @pytest.mark.parametrize("count", [2, 4, 16])
    def test_found_when_nobody_else_works(self, count: int) -> None:
        helpers = threads(3, FUTEX, running=0.05, first=9000)
        answer = check(idle_cores([process(*busy(count), *helpers)], **MANY))
        assert answer.verdict is Verdict.FOUND
        assert f"{count} workers for 512 requests in flight" in answer.claim
        assert answer.explains == pytest.approx(1 - (0.97 * count + 0.15) / 32, abs=0.01)

    def test_found_over_processes(self) -> None:
        workers = [
            process(*threads(1, EPOLL, running=0.97, first=pid), pid=pid)
            for pid in range(5000, 5008)
        ]
        answer = check(idle_cores(workers, **MANY))
        assert answer.verdict is Verdict.FOUND
        assert "8 threads of 8 processes" in answer.claim

    def test_one_is_another_finding(self) -> None:
        """single_threaded asks for it."""
        assert check(idle_cores([process(*busy(1))], **MANY)).verdict is Verdict.CLEAR

    @pytest.mark.parametrize(
        ("helper", "verdict"),
        [
            pytest.param(0.49, Verdict.FOUND, id="a helper"),
            pytest.param(0.51, Verdict.CLEAR, id="a worker with time to spare"),
        ],
    )
    def test_a_worker_with_time_to_spare_refutes_it(self, helper: float, verdict: Verdict) -> None:
        members = (*busy(4), *threads(1, EPOLL, running=helper, first=9000))
        assert check(idle_cores([process(*members)], **MANY)).verdict is verdict

    @pytest.mark.parametrize(("running", "verdict"), [(0.88, Verdict.CLEAR), (0.92, Verdict.FOUND)])
    def test_the_limit_of_a_thread(self, running: float, verdict: Verdict) -> None:
        assert check(idle_cores([process(*busy(4, running))], **MANY)).verdict is verdict

    def test_threads_that_wait_for_cores_while_others_idle_have_an_affinity(self) -> None:
        answer = check(idle_cores([process(*busy(16, 0.25, 0.7))], **MANY))
        assert answer.verdict is Verdict.UNKNOWN
        assert "affinity" in answer.claim

    def test_on_full_cores_it_is_clear(self) -> None:
        """Two workers on two cores are as many as there can be."""
        assert check(idle_cores([process(*busy(2))])).verdict is Verdict.CLEAR

    def test_with_few_requests_it_is_unknown(self) -> None:
        run = idle_cores([process(*busy(8))], cores=32, connections=31)
        assert check(run).verdict is Verdict.UNKNOWN


def waiting(
    count: int, channel: str = SLEEP, *, rest: str = FUTEX, running: float = 0.02
) -> tuple[Thread, ...]:
    """Pool threads that are woken for each of their requests."""
    return threads(count, channel, running=running, rest=rest, switches=120, first=5000)


def pool_run(
    members: tuple[Thread, ...], *, unread: float = 58, at_once: float | None = 4, **changes: object
) -> Run:
    """A pool behind a dispatcher, at 200 requests a second."""
    dispatcher = threads(1, EPOLL, switches=200)
    unloaded = None if at_once is None else at_once / 200
    settings = {"unread": unread, "rps": 200.0, "unloaded_s": unloaded, **changes}
    return idle_cores([process(*dispatcher, *members)], **settings)  # type: ignore[arg-type]


class TestWaitingWorkers:
    """Workers that wait in calls, as many requests at a time as there are workers."""

    @pytest.mark.parametrize("channel", [SLEEP, READ, "do_wait", "anon_pipe_read"])
    def test_found_in_any_call(self, channel: str) -> None:
        answer = check(pool_run(waiting(4, channel), runtime="cpython"))
        assert answer.verdict is Verdict.FOUND
        assert "4 workers of srv were occupied all the time" in answer.claim
        assert "60 requests waited" in answer.claim

    def test_found_where_sleeping_looks_like_an_empty_queue(self) -> None:
        """The JVM and Ruby sleep in a futex; that their number is that of the requests tells."""
        answer = check(pool_run(waiting(4, FUTEX), runtime="ruby"))
        assert answer.verdict is Verdict.FOUND

    def test_found_for_workers_that_accept_one_at_a_time(self) -> None:
        workers = [
            process(
                *threads(1, SLEEP, rest="poll_schedule_timeout", switches=100, first=pid),
                pid=pid,
                share=1 / 64,
            )
            for pid in (5001, 5002)
        ]
        kernel = Kernel(accept_queue=flat(62), backlog=2048)
        run = idle_cores(workers, unread=62, rps=100, unloaded_s=0.02, kernel=kernel)
        assert check(run).verdict is Verdict.FOUND

    @pytest.mark.parametrize(
        ("at_once", "verdict"),
        [
            pytest.param(None, Verdict.UNKNOWN, id="the unloaded latency is not known"),
            pytest.param(2.7, Verdict.UNKNOWN, id="each takes longer than without load"),
            pytest.param(2.9, Verdict.FOUND, id="about as long"),
            pytest.param(5.5, Verdict.FOUND, id="a little shorter"),
            pytest.param(5.7, Verdict.CLEAR, id="others serve too"),
        ],
    )
    def test_the_speed_of_each_decides(self, at_once: float | None, verdict: Verdict) -> None:
        assert check(pool_run(waiting(4), at_once=at_once)).verdict is verdict

    def test_a_thread_for_each_request_is_clear(self) -> None:
        answer = check(pool_run(waiting(64), at_once=64, unread=0))
        assert answer.verdict is Verdict.CLEAR
        assert "as many as there are requests in flight" in answer.claim

    def test_an_idle_pool_is_clear(self) -> None:
        """Nothing lies unread: its threads sleep because there is nothing to do."""
        assert check(pool_run(waiting(4, FUTEX), unread=0)).verdict is Verdict.CLEAR

    def test_a_pool_of_another_number_is_clear(self) -> None:
        assert check(pool_run(waiting(16, FUTEX))).verdict is Verdict.CLEAR

    def test_an_idle_pool_of_that_number_is_clear(self) -> None:
        """V8's helpers, as many as the requests at work by chance: woken for 5 % of them."""
        assert check(pool_run(threads(4, FUTEX, switches=2, first=5000))).verdict is Verdict.CLEAR

    def test_late_acknowledgments_are_mended_first(self) -> None:
        late = Kernel(delayed_acks=ramp((104.0, 0), (109.0, 1000)))
        answer = check(pool_run(waiting(4), kernel=late, p50_s=0.044))
        assert answer.verdict is Verdict.UNKNOWN
        assert "delayed acknowledgments" in answer.claim

    def test_goroutines_are_not_threads(self) -> None:
        assert check(pool_run(waiting(4, FUTEX), runtime="go")).verdict is Verdict.CLEAR

    def test_timers_are_not_workers(self) -> None:
        """A monitor that sleeps in short steps is woken far less often than requests come."""
        members = threads(1, SLEEP, rest=FUTEX, running=0.02, switches=50, first=5000)
        run = idle_cores([process(*members)], unread=58, rps=5000, unloaded_s=0.001)
        assert check(run).verdict is Verdict.CLEAR

    def test_a_supervisor_that_sleeps_anyway_is_not_a_worker(self) -> None:
        members = threads(1, SLEEP, rest=SLEEP, running=0.02, switches=2000, first=5000)
        assert check(idle_cores([process(*members)], unread=58)).verdict is Verdict.CLEAR

    def test_a_blocked_event_loop_is_another_finding(self) -> None:
        members = threads(1, SLEEP, rest=EPOLL, switches=200)
        run = idle_cores([process(*members)], unread=58, rps=200, unloaded_s=0.005)
        assert check(run).verdict is Verdict.CLEAR

    def test_others_in_a_lock_make_it_a_smaller_pool(self) -> None:
        """Four threads in a call and twelve in a lock: a pool of four connections, say."""
        members = (*waiting(4, READ), *threads(12, FUTEX, switches=120, first=6000))
        answer = check(pool_run(members))
        assert answer.verdict is Verdict.UNKNOWN
        assert "pool_exhausted" in answer.claim


@pytest.mark.parametrize(
    ("run", "why"),
    [
        pytest.param(make_run(samples=()), "hardly sampled", id="no samples"),
        pytest.param(blind(pool_run(waiting(4))), "could not be seen", id="places"),
    ],
)
def test_unknown_says_why(run: Run, why: str) -> None:
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert why in answer.claim


def test_evidence_names_what_was_compared() -> None:
    shown = evidence_of(check(pool_run(waiting(4))))
    assert shown["workers_occupied"] == 4
    assert shown["requests_at_once"] == pytest.approx(4)
    assert shown["requests_waiting"] == 58
