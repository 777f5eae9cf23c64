"""crashed: did the server or one of its processes end by itself?"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace

import pytest

from diagnose.analysis.rules.crashed import BROKEN, check
from diagnose.model.finding import Verdict
from diagnose.model.load import Failure
from diagnose.model.run import Run, ServerEnd
from tests.builders import (
    CONNECT,
    DRAIN,
    IDLE,
    PROBE,
    WARMUP,
    WINDOW,
    Process,
    ended,
    evidence_of,
    make_load,
    make_run,
    make_samples,
    two_workers,
    with_failures,
)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param(0, "with exit status 0", id="by itself"),
        pytest.param(1, "with exit status 1", id="status 1"),
        pytest.param(-signal.SIGSEGV, "killed by SIGSEGV", id="segmentation fault"),
        pytest.param(-signal.SIGKILL, "killed by SIGKILL", id="killed"),
        pytest.param(None, "exit status is not known", id="attached"),
    ],
)
def test_found_when_the_server_ended_with_its_status(status: int | None, said: str) -> None:
    answer = check(make_run(end=ended(status, "window", "Traceback:", "  boom")))
    assert answer.verdict is Verdict.FOUND
    assert answer.claim.startswith("the server ended during window ")
    assert evidence_of(answer)["exit_status"] == ("unknown" if status is None else status)
    assert said in answer.claim
    assert [row.value for row in answer.evidence if row.metric == "log"] == [
        "Traceback:",
        "  boom",
    ]
    assert answer.explains == 1.0


def test_a_kill_points_to_the_kernels_log() -> None:
    for status in (-signal.SIGKILL, 128 + signal.SIGKILL, None):
        assert "dmesg" in check(make_run(end=ended(status))).next_step
    assert "dmesg" not in check(make_run(end=ended(1))).next_step


def test_the_last_five_lines_are_evidence() -> None:
    answer = check(make_run(end=ended(1, "window", *(f"line {n}" for n in range(20)))))
    shown = [row.value for row in answer.evidence if row.metric == "log"]
    assert shown == [f"line {n}" for n in range(15, 20)]


def test_an_end_that_diagnose_caused_is_clear() -> None:
    answer = check(make_run(end=ServerEnd(-signal.SIGTERM, "", 0.0, ("bye",))))
    assert answer.verdict is Verdict.CLEAR


def losing(died: float, failures: dict[str, int], born: float = IDLE) -> Run:
    """A worker process that was there from `born` on ends at `died`."""
    tree: Sequence[Process] = [
        replace(process, born=born, died=died) if process.pid == 5002 else process
        for process in two_workers()
    ]
    return make_run(samples=make_samples(tree), load=with_failures(failures))


@pytest.mark.parametrize("kind", BROKEN)
def test_found_when_a_process_is_lost_with_its_requests(kind: str) -> None:
    answer = check(losing(WINDOW + 2, {kind: 7}))
    assert answer.verdict is Verdict.FOUND
    assert "1 of 3 processes ended under load: server (PID 5002)" in answer.claim
    assert evidence_of(answer) == {"processes_lost": 1, "broken_requests": 7}


@pytest.mark.parametrize(
    "died",
    [
        pytest.param(PROBE + 0.2, id="probe"),
        pytest.param(CONNECT + 0.2, id="connect"),
        pytest.param(WARMUP + 0.5, id="warm-up"),
        pytest.param(DRAIN + 0.2, id="drain"),
    ],
)
def test_found_in_every_phase_from_the_first_request_on(died: float) -> None:
    assert check(losing(died, {Failure.RESET_WAITING.value: 3})).verdict is Verdict.FOUND


def losing_workers(count: int, broken: int) -> Run:
    """So many worker processes end under load, and so many requests break off."""
    tree = [Process(pid, died=WINDOW + 2) for pid in range(5001, 5001 + count)]
    samples = make_samples([Process(), *tree])
    return make_run(samples=samples, load=with_failures({Failure.RESET_WAITING.value: broken}))


@pytest.mark.parametrize(
    ("lost", "broken", "verdict"),
    [
        pytest.param(1, 2, Verdict.CLEAR, id="two requests"),
        pytest.param(1, 3, Verdict.FOUND, id="three requests"),
        pytest.param(4, 4, Verdict.CLEAR, id="one request a process"),
        pytest.param(4, 5, Verdict.FOUND, id="more requests than processes"),
    ],
)
def test_a_close_in_order_may_cost_a_request(lost: int, broken: int, verdict: Verdict) -> None:
    """The next request may be under way when a worker that is recycled closes its connection."""
    answer = check(losing_workers(lost, broken))
    assert answer.verdict is verdict
    assert evidence_of(answer) == {"processes_lost": lost, "broken_requests": broken}
    assert (f"with {broken} requests broken off" in answer.claim) == (verdict is Verdict.CLEAR)


@pytest.mark.parametrize(
    ("died", "born", "failures"),
    [
        pytest.param(WINDOW + 2, IDLE, {}, id="recycled in order"),
        pytest.param(WINDOW + 2, IDLE, {"wrong_status": 9}, id="other failures"),
        pytest.param(IDLE + 0.5, IDLE, {"refused": 9}, id="before the load"),
        pytest.param(WINDOW + 2, WINDOW + 1, {"refused": 9}, id="came under load"),
    ],
)
def test_clear_when_no_process_took_requests_along(
    died: float, born: float, failures: dict[str, int]
) -> None:
    assert check(losing(died, failures, born)).verdict is Verdict.CLEAR


def test_unknown_when_the_server_was_not_sampled_before() -> None:
    answer = check(make_run(samples=make_samples(start=WARMUP)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "not sampled before" in answer.claim


def test_without_a_result_no_request_is_known_to_be_broken() -> None:
    run = replace(losing(WINDOW + 2, {Failure.REFUSED.value: 7}), load=None)
    assert check(run).verdict is not Verdict.FOUND
    assert evidence_of(check(run))["broken_requests"] == 0


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    """Real-time signals have none."""
    answer = check(make_run(end=ended(-37)))
    assert answer.verdict is Verdict.FOUND
    assert "killed by signal 37" in answer.claim


def test_a_recycled_worker_is_told() -> None:
    answer = check(losing(WINDOW + 2, {}))
    assert answer.verdict is Verdict.CLEAR
    assert "1 processes ended in order, with 0 requests broken off" in answer.claim


def test_requests_that_broke_off_while_draining_count() -> None:
    run = losing(DRAIN + 0.2, {})
    assert run.load is not None
    load = replace(run.load, drain_failures={Failure.RESET_WAITING.value: 7})
    assert check(replace(run, load=load)).verdict is Verdict.FOUND


def test_a_healthy_run_is_clear() -> None:
    assert check(make_run(load=make_load())).claim == "no process ended under load"
