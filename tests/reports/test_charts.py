"""Pictures: PNG files of whole, partial and strange runs."""

from __future__ import annotations

import struct

import msgspec
import pytest

from diagnose.model.run import Run
from diagnose.model.samples import HostSample
from diagnose.reports.charts import pictures
from tests.builders import (
    COOLDOWN,
    MIB,
    WINDOW,
    Process,
    Thread,
    empty_run,
    make_host,
    make_phases,
    make_run,
    make_samples,
    make_ticks,
    upload_run,
)

ALL = {"throughput-and-latency.png", "cpu.png", "memory.png"}
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def named(name: str) -> Run:
    """A server whose only thread has that name; nothing else is drawn."""
    return make_run(
        samples=make_samples((Process(threads=(Thread(1, 0.9, name=name),)),)), ticks=()
    )


def hung() -> Run:
    """Requests go out, and nothing ever comes back: 256 x 20 MiB in the thread."""
    ticks = [
        msgspec.structs.replace(
            tick, responses=0, slice_count=0, slice_p50_s=0.0, slice_p99_s=0.0, slice_max_s=0.0
        )
        for tick in make_ticks(workers=2)
    ]
    return make_run(samples=(), ticks=ticks)


def test_a_whole_run_has_all_pictures() -> None:
    made = pictures(upload_run(growth=900 * MIB))
    assert set(made) == ALL
    for data in made.values():
        assert data.startswith(SIGNATURE)
        assert data.endswith(b"IEND\xaeB`\x82")
        width, height = struct.unpack(">II", data[16:24])
        assert width > 900
        assert 250 < height < 1000


def test_a_profiled_run_has_both_loads() -> None:
    late = make_ticks(start=COOLDOWN, end=COOLDOWN + 0.5)
    phases = make_phases(profiled=True)
    once = pictures(make_run(samples=(), ticks=make_ticks(), phases=phases))
    twice = pictures(make_run(samples=(), ticks=[*make_ticks(), *late], phases=phases))
    assert set(once) == set(twice) == {"throughput-and-latency.png"}
    assert once != twice


@pytest.mark.parametrize(
    ("run", "names"),
    [
        pytest.param(empty_run(), set(), id="nothing"),
        pytest.param(make_run(samples=(), ticks=make_ticks()[:2]), set(), id="two ticks"),
        pytest.param(make_run(samples=make_samples()[:2], ticks=()), set(), id="two samples"),
        pytest.param(
            make_run(samples=(), ticks=make_ticks()[:3]), ALL - {"cpu.png", "memory.png"},
            id="three ticks",
        ),
        pytest.param(
            make_run(samples=make_samples()[:3], ticks=()), {"cpu.png", "memory.png"},
            id="three samples",
        ),
    ],
)  # fmt: skip
def test_pictures_without_data_are_left_out(run: Run, names: set[str]) -> None:
    made = pictures(run)
    assert set(made) == names
    assert all(data.startswith(SIGNATURE) for data in made.values())


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(
            make_run(
                samples=make_samples((), sockets=None, host_busy=[0.5] * 64),
                host=make_host(64),
                phases=(),
                ticks=(),
            ),
            id="no processes, 64 cores, no phases",
        ),
        pytest.param(
            make_run(
                samples=make_samples(threads_every=99)[:1] * 3,
                ticks=[msgspec.structs.replace(tick, t=WINDOW) for tick in make_ticks()[:5]],
            ),
            id="all in one moment",
        ),
        pytest.param(named("[bold]\n| ` Main$$anon 受付"), id="markup in a thread's name"),
        pytest.param(named("_main"), id="an underscore before a thread's name"),
    ],
)
def test_strange_runs_have_pictures_too(run: Run) -> None:
    made = pictures(run)
    assert made
    assert all(data.startswith(SIGNATURE) for data in made.values())


def test_a_run_without_any_answer_has_pictures() -> None:
    assert set(pictures(hung())) == {"throughput-and-latency.png"}


def test_cores_may_go_offline() -> None:
    samples = [
        sample
        if sample.t < WINDOW
        else msgspec.structs.replace(sample, host=HostSample(sample.host.busy_s[:2], 0.0, 0))
        for sample in make_samples()
    ]
    assert "cpu.png" in pictures(make_run(samples=samples, ticks=()))
