"""How close processes came to their limits, and what the log says of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from diagnose.analysis.descriptors import NearestLimit, complaints, nearest_limit
from diagnose.model.run import Run
from diagnose.model.samples import Sample
from tests.builders import (
    DRAIN,
    IDLE,
    SERVER_PID,
    WINDOW,
    ended,
    make_launch,
    make_run,
    make_samples,
    two_workers,
)


def with_descriptors(counts: dict[int, int], limits: dict[int, int], at: float = WINDOW) -> Run:
    """Processes with 70 descriptors, and these counts from a moment on."""

    def changed(sample: Sample) -> Sample:
        if sample.t < at:
            return sample
        processes = tuple(
            replace(process, descriptors=counts.get(process.pid, 70))
            for process in sample.processes
        )
        return replace(sample, processes=processes)

    samples = [changed(sample) for sample in make_samples(two_workers())]
    return make_run(samples=samples, launch=make_launch(descriptor_limits=limits))


def test_the_process_that_came_closest() -> None:
    run = with_descriptors({5001: 500, 5002: 900}, {SERVER_PID: 1024, 5001: 512, 5002: 1024})
    assert nearest_limit(run) == NearestLimit(5001, "server", 500, 512)


def test_a_process_that_came_later_has_the_limit_of_the_others() -> None:
    run = with_descriptors({5002: 1000}, {SERVER_PID: 1024})
    assert nearest_limit(run) == NearestLimit(5002, "server", 1000, 1024)


def test_before_and_after_the_load_does_not_count() -> None:
    run = with_descriptors({5001: 1000}, {SERVER_PID: 1024}, at=DRAIN + 2)
    assert nearest_limit(run) == NearestLimit(SERVER_PID, "server", 70, 1024)


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(with_descriptors({5001: 1000}, {}), id="no limit was read"),
        pytest.param(
            make_run(samples=(), launch=make_launch(descriptor_limits={1: 64})), id="no samples"
        ),
        pytest.param(
            with_descriptors({SERVER_PID: -1, 5001: -1, 5002: -1}, {SERVER_PID: 1024}, at=IDLE),
            id="descriptors may not be read",
        ),
    ],
)
def test_unknown(run: Run) -> None:
    assert nearest_limit(run) is None


@pytest.mark.parametrize(
    ("most", "limit", "reached"),
    [
        (64, 64, True),
        (60, 64, True),
        (59, 64, False),
        (1004, 1024, True),
        (1003, 1024, False),
        (19_600, 20_000, True),
        (19_599, 20_000, False),
    ],
)
def test_a_few_in_reserve_are_none(most: int, limit: int, reached: bool) -> None:
    assert NearestLimit(1, "server", most, limit).reached is reached


def test_lines_of_the_log() -> None:
    log = (
        "ready",
        "http: Accept error: accept tcp: accept4: too many open files; retrying in 5ms",
        "Error: EMFILE: Too many open files",
        "done",
    )
    run = make_run(end=ended(None, "", *log))
    assert complaints(run) == list(log[1:3])
    assert complaints(make_run()) == []
