"""Memory against responses: lines, halves, a load that comes again, replaced workers."""

from __future__ import annotations

import msgspec
import pytest

from diagnose.analysis.memory_growth import (
    MIN_SAMPLES,
    before_connections,
    connecting,
    fitted,
    growth,
    heap_factor,
    responses,
)
from diagnose.model.run import Run
from tests.analysis.working import leaking
from tests.builders import (
    CONNECT,
    DRAIN,
    MIB,
    WARMUP,
    WINDOW,
    Process,
    flat,
    make_launch,
    make_load,
    make_run,
    make_samples,
    make_ticks,
    ramp,
)


def test_a_line_through_points_on_it() -> None:
    line = fitted([(0, 1), (1, 3), (2, 5)])
    assert line is not None
    assert (line.slope, line.r2, line.points) == (pytest.approx(2), pytest.approx(1), 3)


def test_a_flat_line_explains_nothing() -> None:
    line = fitted([(0, 4), (1, 4), (2, 4)])
    assert line is not None
    assert (line.slope, line.r2) == (0.0, 0.0)


@pytest.mark.parametrize("points", [[], [(0, 1), (1, 2)], [(1, 1), (1, 2), (1, 3)]])
def test_too_few_points_make_no_line(points: list[tuple[float, float]]) -> None:
    assert fitted(points) is None


def test_halves_of_a_bend() -> None:
    seen = growth(leaking(ramp((WINDOW, 0), (WINDOW + 2.5, 100 * MIB))))
    assert seen is not None
    assert seen.first.slope == pytest.approx(100 * MIB / 2500, rel=0.05)
    assert seen.second.slope == pytest.approx(0, abs=500)
    assert seen.responses == pytest.approx(4950, abs=60)
    assert (seen.before, seen.peak, seen.kept) == (0, 100 * MIB, 100 * MIB)
    assert seen.again is None


def test_the_load_that_comes_again_counts_from_its_settling_on() -> None:
    curve = ramp((DRAIN + 0.5, 0), (DRAIN + 1.25, 75 * MIB))
    seen = growth(leaking(curve, profiled=True))
    assert seen is not None
    assert seen.again == pytest.approx(75 * MIB / 750, rel=0.05)


def test_workers_that_were_replaced_count_on() -> None:
    trial = make_ticks(rps=1000, start=WARMUP, end=WARMUP + 0.5)
    later = make_ticks(rps=1000, start=WARMUP + 0.5)
    series = responses(make_run(ticks=[*trial, *later]))
    assert series is not None
    assert series.at(WARMUP + 0.45) == pytest.approx(450, abs=5)
    assert series.at(WARMUP + 1.0) == pytest.approx(950, abs=10)
    assert series.at(WINDOW) < series.at(DRAIN)


def test_no_ticks_and_few_samples_tell_nothing() -> None:
    assert responses(make_run(ticks=())) is None
    assert growth(make_run(ticks=())) is None
    few = make_samples(rate_hz=(MIN_SAMPLES - 1) / 5)
    assert growth(make_run(samples=few)) is None
    assert growth(make_run(samples=make_samples(rate_hz=(MIN_SAMPLES + 1) / 5))) is not None


def test_before_the_connections() -> None:
    sample = before_connections(make_run())
    assert sample is not None
    assert CONNECT - 0.1 < sample.t < CONNECT
    assert before_connections(make_run(samples=make_samples(start=WARMUP))) is None
    assert before_connections(make_run(phases=())) is None


def test_connections_are_those_that_were_established() -> None:
    opened = connecting(make_run(connections=64, load=make_load(established=60)))
    assert opened is not None
    assert (opened.connections, opened.growth, opened.processes) == (60, 0, 0)
    opened = connecting(make_run(connections=64, load=None))
    assert opened is not None
    assert opened.connections == 64


@pytest.mark.parametrize(
    ("runtimes", "factor"),
    [
        ({1: "cpython"}, 1.0),
        ({1: "nginx", 2: "native"}, 1.0),
        ({1: "cpython", 2: "go"}, 2.0),
        ({1: "node"}, 3.0),
        ({1: "unknown"}, 3.0),
        ({}, 3.0),
    ],
)
def test_how_far_a_heap_may_grow(runtimes: dict[int, str], factor: float) -> None:
    assert heap_factor(make_run(launch=make_launch(runtimes=runtimes))) == factor


def test_the_builders_memory_is_what_is_read() -> None:
    run = leaking(flat(7 * MIB))
    assert {sample.held for sample in run.samples} == {7 * MIB}
    assert msgspec.structs.asdict(run.samples[0])["files"] is None


def opening(first_at: float) -> Run:
    """A heap that grows by 80 MiB as the connect phase begins; connections from then on."""
    heap = ramp((CONNECT - 0.02, 90 * MIB), (CONNECT + 0.02, 170 * MIB))
    samples = [
        msgspec.structs.replace(
            sample,
            sockets=sample.sockets
            and msgspec.structs.replace(
                sample.sockets, established=0 if sample.t < first_at else 64
            ),
        )
        for sample in make_samples((Process(anonymous=heap),))
    ]
    return make_run(samples=samples)


def test_what_grew_before_the_first_connection_is_not_theirs() -> None:
    """A probe's last body still grew the heap when the last sample before them was taken."""
    opened = connecting(opening(CONNECT + 0.12))
    assert opened is not None
    assert opened.growth < MIB
    # Where the first sample has them already, the growth may be theirs.
    opened = connecting(opening(CONNECT))
    assert opened is not None
    assert opened.growth > 70 * MIB
