"""single_threaded: one busy thread, the others idle, and a second core to use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from diagnose.analysis.engine import analyze
from diagnose.analysis.rules.single_threaded import check
from diagnose.model.finding import Verdict
from tests.builders import (
    MIB,
    SERVER_PID,
    WINDOW,
    Kernel,
    Process,
    Sockets,
    Thread,
    evidence_of,
    flat,
    make_host,
    make_launch,
    make_load,
    make_run,
    make_samples,
    make_worker,
    one_thread,
    two_workers,
)


@pytest.mark.parametrize(
    ("busy", "waiting", "rest"),
    [
        pytest.param(0.97, 0.0, 0.0, id="runs all the time"),
        pytest.param(0.55, 0.42, 0.0, id="shares its core and waits for it"),
        pytest.param(0.901, 0.0, 0.0, id="just over the limit"),
        pytest.param(0.97, 0.0, 0.199, id="others just under their limit"),
    ],
)
def test_found_when_one_thread_does_the_work(busy: float, waiting: float, rest: float) -> None:
    answer = check(make_run(samples=make_samples(one_thread(busy, waiting, rest))))
    assert answer.verdict is Verdict.FOUND
    assert evidence_of(answer)["top_thread_busy"] == pytest.approx(busy + waiting)
    assert evidence_of(answer)["other_threads_busy"] == pytest.approx(rest, abs=1e-6)
    assert "'main' of server" in answer.claim
    assert "the other 3 threads together" in answer.claim
    assert "sockets_unread" in evidence_of(answer)
    assert answer.explains == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (0, "97% of the time, and there is no other thread: one of 2 cores"),
        (1, "97% of the time, the other thread 5%: one of 2 cores"),
        (2, "97% of the time, the other 2 threads together 10%: one of 2 cores"),
    ],
)
def test_the_others_are_counted_as_people_do(others: int, said: str) -> None:
    rest = tuple(Thread(SERVER_PID + 1 + n, 0.05) for n in range(others))
    alone = Process(SERVER_PID, (Thread(SERVER_PID, 0.97, name="main"), *rest))
    assert said in check(make_run(samples=make_samples((alone,)))).claim


@pytest.mark.parametrize(
    ("busy", "rest"),
    [
        pytest.param(0.97, 1.51, id="another over half beside one at its limit"),
        pytest.param(0.899, 0.201, id="others over their limit, none at its own"),
        pytest.param(0.749, 0.0, id="busiest just under the clear limit"),
        pytest.param(0.02, 0.0, id="asleep"),
    ],
)
def test_clear_when_others_work_or_none_is_busy(busy: float, rest: float) -> None:
    answer = check(make_run(samples=make_samples(one_thread(busy, rest=rest))))
    assert answer.verdict is Verdict.CLEAR
    assert answer.explains == 0.0


def test_processes_of_one_thread_each_are_not_one_thread() -> None:
    assert check(make_run(samples=make_samples(two_workers(0.98)))).verdict is Verdict.CLEAR


@pytest.mark.parametrize("busy", [0.751, 0.899])
def test_between_the_limits_is_unknown(busy: float) -> None:
    answer = check(make_run(samples=make_samples(one_thread(busy))))
    assert answer.verdict is Verdict.UNKNOWN
    assert "between the limits" in answer.claim


@pytest.mark.parametrize(
    ("runtime", "rest", "verdict"),
    [
        pytest.param("node", 0.35, Verdict.FOUND, id="helpers of node"),
        pytest.param("native", 0.35, Verdict.UNKNOWN, id="helpers, or a second kind of work"),
        pytest.param("node", 1.6, Verdict.CLEAR, id="worker threads serve too"),
    ],
)
def test_one_thread_alone_runs_javascript(runtime: str, rest: float, verdict: Verdict) -> None:
    launch = make_launch(runtimes={SERVER_PID: runtime})
    answer = check(make_run(samples=make_samples(one_thread(0.97, rest=rest)), launch=launch))
    assert answer.verdict is verdict


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [
        pytest.param((0.6, 0.4), Verdict.UNKNOWN, id="one at a time of two"),
        pytest.param((0.25, 0.25, 0.25, 0.2), Verdict.UNKNOWN, id="one at a time of four"),
        pytest.param((0.8, 0.6), Verdict.CLEAR, id="more than one core"),
        pytest.param((0.4, 0.3), Verdict.CLEAR, id="less than one core"),
    ],
)
def test_threads_that_take_turns_are_not_ruled_out(
    shares: tuple[float, ...], verdict: Verdict
) -> None:
    threads = tuple(Thread(SERVER_PID + number, busy) for number, busy in enumerate(shares))
    answer = check(make_run(samples=make_samples([Process(SERVER_PID, threads)])))
    assert answer.verdict is verdict
    if verdict is Verdict.UNKNOWN:
        assert evidence_of(answer)["process_busy"] == pytest.approx(sum(shares), abs=1e-6)


@pytest.mark.parametrize("rest", [0.201, 0.6, 1.49], ids=["few", "more", "none over half"])
def test_helpers_beside_a_thread_at_its_limit_are_unknown(rest: float) -> None:
    """Three helpers with a third each: a garbage collector, or work of a second kind."""
    answer = check(make_run(samples=make_samples(one_thread(0.97, rest=rest))))
    assert answer.verdict is Verdict.UNKNOWN
    assert "helpers of the runtime" in answer.claim
    assert evidence_of(answer)["other_threads_busy"] == pytest.approx(rest)


class TestSiblings:
    """Worker processes beside the busy one: the connections are not spread."""

    def tree(self, **sibling: Any) -> tuple[Process, ...]:
        """A busy worker, an idle one, and their supervisor."""
        busy = Process(11, (Thread(11, 0.97, name="main"),), "uvicorn", parent=10)
        idle = Process(12, (Thread(12, 0.01),), "uvicorn", parent=10)
        return (
            Process(10, (Thread(10),), "uvicorn", parent=1),
            busy,
            replace(idle, **sibling),
        )

    def test_an_idle_worker_makes_it_unknown(self) -> None:
        answer = check(make_run(samples=make_samples(self.tree())))
        assert answer.verdict is Verdict.UNKNOWN
        assert "1 worker processes beside it idled" in answer.claim
        # The busy one holds 72 MiB.
        half = self.tree(anonymous=flat(37 * MIB), file=flat(0))
        assert check(make_run(samples=make_samples(half))).verdict is Verdict.UNKNOWN
        assert evidence_of(answer)["idle_siblings"] == 1

    def test_a_worker_that_is_not_at_its_limit_is_clear(self) -> None:
        """Few connections, little work: nothing is the limit."""
        supervisor, busy, idle = self.tree()
        calm = replace(busy, threads=(Thread(11, 0.5),))
        answer = check(make_run(samples=make_samples((supervisor, calm, idle))))
        assert answer.verdict is Verdict.CLEAR

    @pytest.mark.parametrize(
        "sibling",
        [
            pytest.param({"name": "tracker"}, id="another program"),
            pytest.param({"parent": 1}, id="another parent"),
            pytest.param({"anonymous": flat(35 * MIB), "file": flat(0)}, id="under half as large"),
        ],
    )
    def test_other_processes_are_no_workers(self, sibling: dict[str, Any]) -> None:
        answer = check(make_run(samples=make_samples(self.tree(**sibling))))
        assert answer.verdict is Verdict.FOUND


@pytest.mark.parametrize(
    ("samples", "verdict"),
    [(0, Verdict.UNKNOWN), (9, Verdict.UNKNOWN), (10, Verdict.FOUND)],
    ids=["none", "nine", "ten"],
)
def test_ten_samples_are_needed(samples: int, verdict: Verdict) -> None:
    taken = [sample for sample in make_samples(one_thread()) if sample.t > WINDOW][:samples]
    answer = check(make_run(samples=taken))
    assert answer.verdict is verdict
    assert ("hardly sampled" in answer.claim) == (verdict is Verdict.UNKNOWN)


def test_sockets_that_were_not_sampled_are_no_evidence() -> None:
    answer = check(make_run(samples=make_samples(one_thread(), sockets=None)))
    assert answer.verdict is Verdict.FOUND
    assert "sockets_unread" not in evidence_of(answer)


def test_unknown_when_another_process_answered() -> None:
    """`docker run` as the command: its client idles."""
    answer = check(make_run(samples=make_samples(one_thread(0.005))))
    assert answer.verdict is Verdict.UNKNOWN
    assert "not among them" in answer.claim


def test_unknown_without_thread_details() -> None:
    samples = make_samples(one_thread(), threads_every=10_000)
    answer = check(make_run(samples=samples))
    assert answer.verdict is Verdict.UNKNOWN
    assert "hardly sampled" in answer.claim


def test_unknown_on_one_core() -> None:
    run = make_run(samples=make_samples(one_thread()), host=make_host(server=(0,)))
    answer = check(run)
    assert answer.verdict is Verdict.UNKNOWN
    assert "one core" in answer.claim
    assert evidence_of(answer)["top_thread_busy"] == pytest.approx(0.97)


def test_unknown_with_one_connection() -> None:
    answer = check(make_run(samples=make_samples(one_thread()), connections=1))
    assert answer.verdict is Verdict.UNKNOWN
    assert "one connection" in answer.claim


class TestSixtyFourCores:
    """The machine of the benchmark: shares that are small there are small everywhere."""

    host = make_host(64, mode="shared")

    def test_a_few_busy_cores_over_many_threads_are_not_one_thread(self) -> None:
        threads = tuple(Thread(SERVER_PID + n, 5.63 / 64, name="domain") for n in range(64))
        samples = make_samples((Process(threads=threads),), host_busy=[5.63 / 64] * 64)
        answer = check(make_run(samples=samples, host=self.host))
        assert answer.verdict is Verdict.CLEAR
        assert evidence_of(answer)["idle_cores"] == pytest.approx(64 - 5.63)

    def test_a_thread_that_fills_one_of_the_cores_is(self) -> None:
        host_busy = [0.99, *[0.01] * 63]
        samples = make_samples(one_thread(0.97, rest=0.1), host_busy=host_busy)
        answer = check(make_run(samples=samples, host=self.host))
        assert answer.verdict is Verdict.FOUND
        assert answer.explains == pytest.approx(1 - 1 / 64)
        assert "one of 64 cores" in answer.claim

    def test_a_thread_that_fills_one_core_beside_sixty_idle_threads_is(self) -> None:
        idle = tuple(Thread(SERVER_PID + n, 0.001) for n in range(1, 61))
        busy = Thread(SERVER_PID, 0.97, name="scheduler")
        samples = make_samples((Process(threads=(busy, *idle)),), host_busy=[0.02] * 64)
        assert check(make_run(samples=samples, host=self.host)).verdict is Verdict.FOUND


def test_held_back_when_the_generator_was_the_limit() -> None:
    run = make_run(
        samples=make_samples(one_thread(), host_busy=(0.97, 0.1, 1.0, 1.0)),
        load=make_load(workers=(make_worker(asleep=0.0, lag_share=0.95),)),
    )
    (answer,) = [row for row in analyze(run) if row.id == "single_threaded"]
    assert answer.verdict is Verdict.UNKNOWN
    assert "95% of the latency was the generator's own" in answer.claim


@pytest.mark.parametrize(
    ("lag_share", "verdict"),
    [pytest.param(0.5, Verdict.FOUND, id="half"), pytest.param(0.51, Verdict.UNKNOWN, id="more")],
)
def test_unknown_when_most_of_the_latency_was_the_generators(
    lag_share: float, verdict: Verdict
) -> None:
    load = make_load(workers=(make_worker(lag_share=lag_share),))
    assert check(make_run(samples=make_samples(one_thread()), load=load)).verdict is verdict


def test_work_of_threads_that_end_between_samples_counts_as_others() -> None:
    server = Process(threads=(Thread(SERVER_PID, 0.95, name="acceptor"),), unseen=4.0)
    host = make_host(16)
    samples = make_samples((server,), host_busy=[0.65] * 8 + [0.2] * 8)
    answer = check(make_run(samples=samples, host=host))
    assert answer.verdict is not Verdict.FOUND


@pytest.mark.parametrize(
    ("busy", "unread", "verdict"),
    [
        pytest.param(0.87, 33, Verdict.FOUND, id="sleeps for moments while half lie unread"),
        pytest.param(0.87, 31, Verdict.UNKNOWN, id="fewer lie unread"),
        pytest.param(0.74, 63, Verdict.CLEAR, id="waits for something else"),
    ],
)
def test_requests_that_lie_unread_wait_for_the_one_thread(
    busy: float, unread: int, verdict: Verdict
) -> None:
    """gunicorn's sync worker: one connection after the other, a moment of sleep in between."""
    sockets = Sockets(unread_sockets=flat(unread))
    run = make_run(samples=make_samples(one_thread(busy), sockets=sockets))
    assert check(run).verdict is verdict


@pytest.mark.parametrize(
    ("quota", "verdict"),
    [
        pytest.param(1.0, Verdict.UNKNOWN, id="one core by order"),
        pytest.param(2.0, Verdict.FOUND, id="two"),
        pytest.param(-1.0, Verdict.FOUND, id="none"),
    ],
)
def test_a_quota_may_leave_no_second_core(quota: float, verdict: Verdict) -> None:
    run = make_run(samples=make_samples(one_thread(), kernel=Kernel(quota=quota)))
    assert check(run).verdict is verdict
