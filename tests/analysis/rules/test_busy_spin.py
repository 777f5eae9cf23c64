"""busy_spin: CPU time before and after the load."""

from __future__ import annotations

import msgspec
import pytest

from diagnose.analysis.rules.busy_spin import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.builders import (
    COOLDOWN,
    DRAIN,
    IDLE,
    Process,
    Sockets,
    Thread,
    evidence_of,
    make_launch,
    make_run,
    make_samples,
    two_workers,
)


def unasked(*threads: Thread, established: int = 0, attached: bool = False) -> Run:
    samples = make_samples((Process(threads=threads),), sockets=Sockets(established))
    return make_run(samples=samples, launch=make_launch(attached=attached))


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        pytest.param(0.0, Verdict.CLEAR, id="asleep"),
        pytest.param(0.05, Verdict.CLEAR, id="timers"),
        pytest.param(0.19, Verdict.CLEAR, id="just under the clear limit"),
        pytest.param(0.21, Verdict.UNKNOWN, id="just over the clear limit"),
        pytest.param(0.89, Verdict.UNKNOWN, id="just under the limit"),
        pytest.param(0.91, Verdict.FOUND, id="just over the limit"),
        pytest.param(1.0, Verdict.FOUND, id="all the time"),
    ],
)
def test_the_share_before_and_after_decides(share: float, verdict: Verdict) -> None:
    answer = check(unasked(Thread(1, 1.0, unasked=share, name="loop")))
    assert answer.verdict is verdict
    assert evidence_of(answer)["busiest_before_load"] == pytest.approx(share, abs=0.001)


def test_a_worker_that_was_found_late_spins_all_the_same() -> None:
    """The first samples of the idle phase have its parent only."""
    parent = Process(threads=(Thread(1, 0.0),))
    spinner = Thread(9, 1.0, unasked=1.0, name="loop", born=IDLE + 0.5)
    late = Process(pid=5001, threads=(spinner,), born=IDLE + 0.5, parent=parent.pid)
    answer = check(make_run(samples=make_samples((parent, late))))
    assert answer.verdict is Verdict.FOUND, answer.claim
    assert "PID 5001" in answer.claim


def test_a_busy_load_is_no_spin() -> None:
    assert check(make_run(samples=make_samples(two_workers(1.0)))).verdict is Verdict.CLEAR


def test_the_thread_is_named() -> None:
    answer = check(unasked(Thread(7, 1.0, unasked=1.0, name="poller"), Thread(8, 0.2)))
    assert "thread 'poller' (PID 4242)" in answer.claim


def test_a_start_that_takes_long_is_clear() -> None:
    """Busy before the load, quiet after it: a compiler, an index that was built."""
    start = Thread(1, 1.0, unasked=1.0, name="loader", died=COOLDOWN)
    answer = check(unasked(start, Thread(2, 0.5)))
    assert answer.verdict is Verdict.CLEAR
    assert "start" in answer.claim


def test_what_a_load_left_is_unknown() -> None:
    late = Thread(1, 1.0, unasked=1.0, name="flusher", born=DRAIN)
    answer = check(unasked(late, Thread(2, 0.5)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "quiet before" in answer.claim


@pytest.mark.parametrize("name", ["C2 CompilerThre", "G1 Conc#0", "V8Worker", ".NET Tiered Com"])
def test_helpers_of_a_runtime_are_not_meant(name: str) -> None:
    answer = check(unasked(Thread(1, 1.0, unasked=1.0, name=name)))
    assert answer.verdict is Verdict.UNKNOWN


def test_two_threads_in_turn_are_no_spin_of_one() -> None:
    before = Thread(1, 0.5, unasked=1.0, name="a", died=DRAIN)
    after = Thread(2, 0.5, unasked=1.0, name="b", born=DRAIN)
    answer = check(unasked(before, after))
    assert answer.verdict is Verdict.UNKNOWN
    assert "no one thread" in answer.claim


def test_several_that_spin_are_found_whichever_is_ahead() -> None:
    """Two workers that spin: the busier one before the load need not be the busier one after it."""
    samples = make_samples(
        (
            Process(1, (Thread(1, 1.0, unasked=0.99, name="loop"),)),
            Process(2, (Thread(2, 1.0, unasked=1.0, name="loop", died=COOLDOWN + 0.5),)),
            Process(3, (Thread(3, 1.0, unasked=0.98, name="loop"),)),
        )
    )
    answer = check(make_run(samples=samples))
    assert answer.verdict is Verdict.FOUND
    assert "others like it" in answer.claim


def test_a_thread_that_waits_for_a_core_wants_it() -> None:
    samples = [
        msgspec.structs.replace(
            sample,
            processes=tuple(
                msgspec.structs.replace(
                    process,
                    user_s=0.5 * sample.t,
                    threads=(
                        msgspec.structs.replace(
                            process.threads[0], run_s=0.5 * sample.t, wait_s=0.5 * sample.t
                        ),
                    ),
                )
                for process in sample.processes
            ),
        )
        for sample in make_samples((Process(threads=(Thread(1),)),))
    ]
    assert check(make_run(samples=samples)).verdict is Verdict.FOUND


def test_others_may_have_asked_a_server_that_was_attached_to() -> None:
    spin = Thread(1, 1.0, unasked=1.0)
    assert check(unasked(spin, established=4, attached=True)).verdict is Verdict.UNKNOWN
    assert check(unasked(spin, established=0, attached=True)).verdict is Verdict.FOUND


def test_unknown_without_an_end() -> None:
    spin = (Process(threads=(Thread(1, 1.0, unasked=1.0),)),)
    answer = check(make_run(samples=make_samples(spin, end=DRAIN)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "before it was over" in answer.claim
    answer = check(make_run(samples=make_samples(spin, start=IDLE + 0.9)))
    assert answer.verdict is Verdict.UNKNOWN
