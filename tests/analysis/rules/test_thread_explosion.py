"""thread_explosion: a thread for each connection or request."""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.thread_explosion import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.builders import (
    CONNECT,
    SERVER_PID,
    WINDOW,
    Process,
    Thread,
    evidence_of,
    make_host,
    make_load,
    make_run,
    make_samples,
    two_workers,
)


def by_load(count: int, *, connections: int = 512, cores: int = 4, before: int = 1) -> Run:
    """Threads of which all but `before` came with the connections."""
    members = tuple(
        Thread(SERVER_PID + n, 0.001, born=100.0 if n < before else CONNECT) for n in range(count)
    )
    samples = make_samples((Process(threads=members),), rate_hz=4, threads_every=4)
    return make_run(samples=samples, connections=connections, host=make_host(cores))


@pytest.mark.parametrize(
    ("count", "verdict"),
    [
        pytest.param(65, Verdict.CLEAR, id="a pool"),
        pytest.param(199, Verdict.CLEAR, id="a large pool"),
        pytest.param(300, Verdict.UNKNOWN, id="a very large one"),
        pytest.param(399, Verdict.UNKNOWN, id="as many as the largest default"),
        pytest.param(401, Verdict.FOUND, id="more"),
        pytest.param(513, Verdict.FOUND, id="one for each connection"),
    ],
)
def test_how_many(count: int, verdict: Verdict) -> None:
    answer = check(by_load(count))
    assert answer.verdict is verdict
    assert evidence_of(answer)["threads"] == count


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        pytest.param({"before": 500}, Verdict.CLEAR, id="there before the load"),
        pytest.param({"connections": 4096}, Verdict.CLEAR, id="a bound pool"),
        pytest.param({"cores": 16}, Verdict.UNKNOWN, id="eight cores for them"),
    ],
)
def test_what_they_are_for(changes: dict[str, int], verdict: Verdict) -> None:
    assert check(by_load(513, **changes)).verdict is verdict


def for_each_request(per_second: int, *, responses: int = 5000) -> Run:
    """Threads that live for a moment, one after the other."""
    lives = 0.06
    members = tuple(
        Thread(6000 + int(n * per_second * 0.05), 0.1, born=WINDOW + n * 0.05,
               died=WINDOW + n * 0.05 + lives)
        for n in range(100)
    )  # fmt: skip
    process = Process(threads=(Thread(SERVER_PID, 0.1), *members))
    load = make_load(responses=responses)
    return make_run(samples=make_samples((process,)), load=load)


@pytest.mark.parametrize(
    ("per_second", "responses", "verdict"),
    [
        pytest.param(1000, 5000, Verdict.FOUND, id="one for each"),
        pytest.param(520, 5000, Verdict.FOUND, id="one for every other"),
        pytest.param(400, 5000, Verdict.CLEAR, id="fewer"),
        pytest.param(80, 100, Verdict.CLEAR, id="few in all"),
    ],
)
def test_threads_that_come_and_go(per_second: int, responses: int, verdict: Verdict) -> None:
    assert check(for_each_request(per_second, responses=responses)).verdict is verdict


def test_numbers_given_to_other_programs_are_not_ours() -> None:
    """The pool grew once; other programs started a thousand tasks in between."""
    members = (Thread(4300, 0.1), Thread(9300, 0.1, born=WINDOW + 2))
    samples = make_samples((Process(threads=members),))
    assert check(make_run(samples=samples)).verdict is Verdict.CLEAR


def test_unknown_without_samples() -> None:
    assert check(make_run(samples=())).verdict is Verdict.UNKNOWN


def test_workers_are_clear() -> None:
    assert check(make_run(samples=make_samples(two_workers()))).verdict is Verdict.CLEAR
