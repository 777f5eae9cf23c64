"""worker_imbalance: one of several worker processes has the work."""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.worker_imbalance import check
from diagnose.model.finding import Verdict
from tests.analysis.parallel import EPOLL, idle_cores, threads
from tests.builders import (
    MIB,
    SERVER_PID,
    Process,
    Thread,
    connections_over,
    evidence_of,
    flat,
    make_run,
)


def workers(*busy: float, waiting: float = 0.0, shares: tuple[float, ...] = ()) -> list[Process]:
    """A supervisor and workers that are so busy, with so many of the 64 connections."""
    supervisor = Process(SERVER_PID, (Thread(SERVER_PID, 0.0),), "srv")
    held = shares or (1 / len(busy),) * len(busy)
    family = [
        Process(
            5001 + place,
            threads(1, EPOLL, running=running, waiting=waiting, first=5001 + place),
            "srv",
            parent=SERVER_PID,
            descriptors=connections_over(1, 64 * held[place]),
        )
        for place, running in enumerate(busy)
    ]
    return [supervisor, *family]


@pytest.mark.parametrize(
    ("busy", "verdict"),
    [
        pytest.param((0.95, 0.0), Verdict.FOUND, id="one of two"),
        pytest.param((0.95, 0.31), Verdict.FOUND, id="three times the other"),
        pytest.param((0.95, 0.33), Verdict.UNKNOWN, id="not quite"),
        pytest.param((0.95, 0.58), Verdict.CLEAR, id="as chance may spread them"),
        pytest.param((0.95, 0.95, 0.0, 0.0), Verdict.FOUND, id="two of four"),
        pytest.param((0.84, 0.0), Verdict.CLEAR, id="none at its limit"),
        pytest.param((0.3, 0.1), Verdict.CLEAR, id="little to do"),
    ],
)
def test_the_busiest_against_the_mean(busy: tuple[float, ...], verdict: Verdict) -> None:
    answer = check(idle_cores(workers(*busy), cores=8))
    assert answer.verdict is verdict


def test_found_counts_the_connections_of_each() -> None:
    answer = check(idle_cores(workers(0.95, 0.01, shares=(58 / 64, 6 / 64)), cores=8))
    assert answer.verdict is Verdict.FOUND
    shown = evidence_of(answer)
    assert shown["busiest_connections"] == 58
    assert shown["others_connections"] == 6
    assert "busy 95% of the time, 2.0 times the mean" in answer.claim


@pytest.mark.parametrize(("connections", "verdict"), [(15, Verdict.UNKNOWN), (16, Verdict.FOUND)])
def test_few_connections_fall_unevenly_by_chance(connections: int, verdict: Verdict) -> None:
    assert check(idle_cores(workers(0.95, 0.0), connections=connections)).verdict is verdict


def test_a_starved_worker_has_work() -> None:
    """It ran little because it waited for a core, on a machine where others took it."""
    family = [
        *workers(0.95)[:2],
        Process(
            5002, threads(1, EPOLL, running=0.3, waiting=0.65, first=5002), "srv",
            parent=SERVER_PID,
        ),
    ]  # fmt: skip
    assert check(idle_cores(family, cores=8)).verdict is Verdict.CLEAR


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        pytest.param({}, Verdict.FOUND, id="a sibling"),
        pytest.param({"parent": 1}, Verdict.CLEAR, id="of another parent"),
        pytest.param({"name": "logger"}, Verdict.CLEAR, id="of another name"),
        pytest.param({"anonymous": flat(8 * MIB)}, Verdict.CLEAR, id="much smaller"),
    ],
)
def test_only_siblings_of_like_memory_are_workers(
    changes: dict[str, object], verdict: Verdict
) -> None:
    idle = {"name": "srv", "parent": SERVER_PID, **changes}
    other = Process(5002, (Thread(5002, 0.0),), **idle)  # type: ignore[arg-type]
    assert check(idle_cores([*workers(0.95), other], cores=8)).verdict is verdict


def test_one_process_is_clear() -> None:
    answer = check(idle_cores([Process(threads=threads(4, EPOLL, running=0.2))], cores=8))
    assert answer.verdict is Verdict.CLEAR
    assert "no two worker processes" in answer.claim


def test_unknown_without_samples() -> None:
    assert check(make_run(samples=())).verdict is Verdict.UNKNOWN


def test_full_cores_are_clear() -> None:
    assert check(make_run()).verdict is Verdict.CLEAR
