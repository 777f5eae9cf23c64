"""The figures that people quote, against values computed by hand."""

from __future__ import annotations

import msgspec
import pytest

from diagnose.analysis.figures import figures
from diagnose.model.load import Latency
from diagnose.model.samples import HostSample
from tests.builders import (
    COOLDOWN,
    MIB,
    WINDOW,
    Process,
    Thread,
    empty_run,
    flat,
    make_host,
    make_load,
    make_phases,
    make_run,
    make_samples,
    make_worker,
    ramp,
    two_workers,
    under_load,
    with_failures,
)


def test_rates_are_per_second_of_the_window() -> None:
    load = make_load(
        duration_s=4.0,
        responses=1000,
        ok=900,
        bytes_sent=8_000,
        bytes_received=16_000,
        body_answered=4_000,
    )
    f = figures(make_run(load=load))
    assert f.rps == 225.0
    assert f.responses == 1000
    assert f.bytes_sent_per_s == 2000.0
    assert f.bytes_received_per_s == 4000.0
    assert f.body_answered_per_s == 1000.0
    assert f.duration_s == 4.0


def test_latency_is_that_of_the_load() -> None:
    latency = Latency(10, 0.5, 0.1, 0.2, 0.3, 0.4, 0.9)
    f = figures(make_run(load=make_load(latency=latency)))
    assert (f.p50_s, f.p90_s, f.p99_s, f.p999_s, f.max_s) == (0.1, 0.2, 0.3, 0.4, 0.9)


def test_latency_of_no_response_is_not_measured() -> None:
    f = figures(make_run(load=make_load(latency=Latency(), responses=0, ok=0)))
    assert (f.p50_s, f.p90_s, f.p99_s, f.p999_s, f.max_s) == (None,) * 5
    assert f.rps == 0.0


def test_cores_add_up() -> None:
    """Host 2.5 busy = server 1.4 + two load workers 0.6 + sampler 0.1 + others 0.4."""
    run = make_run(
        samples=make_samples(two_workers(0.7), host_busy=(0.8, 0.8, 0.5, 0.4), sampler_cores=0.1),
        load=make_load(workers=(make_worker(0, cpu=0.4), make_worker(1, cpu=0.2))),
    )
    f = figures(run)
    assert f.cpu_cores == pytest.approx(1.4)
    assert f.load_cores == pytest.approx(0.6)
    assert f.sampler_cores == pytest.approx(0.1)
    assert f.foreign_cores == pytest.approx(0.4)
    assert f.idle_cores == pytest.approx(0.4)


def test_other_programs_never_use_less_than_nothing() -> None:
    run = make_run(samples=make_samples(two_workers(0.99), host_busy=(0.9, 0.9, 0.0, 0.0)))
    assert figures(run).foreign_cores == 0.0


def test_a_worker_without_a_window_used_nothing() -> None:
    load = make_load(workers=(make_worker(wall_s=0.0), make_worker(1, cpu=0.25)))
    assert figures(make_run(load=load)).load_cores == pytest.approx(0.25)


def test_memory_of_the_tree() -> None:
    curve = under_load(100 * MIB, 300 * MIB, 50 * MIB)
    run = make_run(samples=make_samples((Process(anonymous=curve, file=flat(10 * MIB)),)))
    f = figures(run)
    assert f.memory_baseline_bytes == 100 * MIB
    assert f.memory_peak_bytes == 300 * MIB
    assert f.peak_rss_bytes == 310 * MIB


def test_connections_and_reconnects() -> None:
    load = make_load(connections=100, established=90, opens=400, responses=5000, unanswered=7)
    f = figures(make_run(load=load, connections=100))
    assert f.connections == 100
    assert f.established == 90
    assert f.reconnects == 400
    assert f.responses_per_connection == 10.0
    assert f.unanswered == 7


def test_errors_are_failures_of_every_kind() -> None:
    load = with_failures({"refused": 2, "wrong_body": 3, "timeout": 5})
    assert figures(make_run(load=load)).errors == 10


def test_an_empty_run_has_no_figures() -> None:
    f = figures(empty_run())
    assert (f.cpu_cores, f.idle_cores, f.foreign_cores, f.sampler_cores) == (None,) * 4
    assert (f.peak_rss_bytes, f.memory_baseline_bytes, f.memory_peak_bytes) == (None,) * 3
    assert f.p50_s is None
    assert (f.rps, f.responses, f.errors, f.established, f.duration_s) == (0.0, 0, 0, 0, 0.0)
    assert f.connections == 64


def test_a_run_without_samples_has_the_figures_of_its_load() -> None:
    f = figures(make_run(samples=()))
    assert f.rps == 1000.0
    assert f.cpu_cores is None
    assert f.foreign_cores is None
    assert f.peak_rss_bytes is None


def test_a_run_without_a_result_has_the_figures_of_its_samples() -> None:
    f = figures(make_run(load=None))
    assert f.cpu_cores == pytest.approx(1.9)
    assert f.foreign_cores is None
    assert f.load_cores == 0.0
    assert f.memory_peak_bytes is not None


def test_a_window_of_no_length_has_no_rates() -> None:
    f = figures(make_run(load=make_load(duration_s=0.0)))
    assert (f.rps, f.bytes_sent_per_s, f.bytes_received_per_s) == (0.0, 0.0, 0.0)


def test_sixty_four_cores() -> None:
    threads = tuple(Thread(n, 5.63 / 64) for n in range(64))
    run = make_run(
        samples=make_samples((Process(threads=threads),), host_busy=[5.63 / 64] * 64),
        host=make_host(64, mode="shared"),
    )
    assert figures(run).cpu_cores == pytest.approx(5.63)
    # The load shares these cores, and used 0.3 of them.
    assert figures(run).idle_cores == pytest.approx(64 - 5.63 - 0.3)


def test_peak_rss_is_that_of_the_measured_load() -> None:
    later = ramp((COOLDOWN, 50 * MIB), (COOLDOWN + 0.3, 900 * MIB))
    run = make_run(
        samples=make_samples((Process(anonymous=later, file=flat(0)),)),
        phases=make_phases(profiled=True),
    )
    peak = figures(run).peak_rss_bytes
    assert peak is not None
    assert peak <= 60 * MIB


def test_a_core_that_comes_online_is_no_other_program() -> None:
    samples = [
        sample
        if sample.t > WINDOW + 1
        else msgspec.structs.replace(sample, host=HostSample((*sample.host.busy_s[:3], -1.0), 0, 0))
        for sample in make_samples()
    ]
    foreign = figures(make_run(samples=samples)).foreign_cores
    assert foreign is not None
    assert foreign <= 4
