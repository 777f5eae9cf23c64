"""Charts as data: what they show, where lines break, and that nothing that stands out is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from diagnose.model.samples import CgroupSample, HostSample, PressureSample
from diagnose.reports.chart import Chart, Line, document, reduced
from diagnose.reports.timeline import charts, phases
from tests.builders import (
    COOLDOWN,
    LAUNCH,
    MIB,
    WINDOW,
    Process,
    Thread,
    empty_run,
    make_phases,
    make_run,
    make_samples,
    make_ticks,
    one_thread,
    upload_run,
)


def by_id(run: Any, points: int = 1000) -> dict[str, dict[str, Any]]:
    """The charts of a run."""
    return {chart["id"]: chart for chart in charts(run, points)}


def line(chart: dict[str, Any], label: str) -> list[float | None]:
    """The values of a line that begins so."""
    (found,) = [line for line in chart["lines"] if line["label"].startswith(label)]
    values: list[float | None] = found["values"]
    return values


def in_window(chart: dict[str, Any], label: str) -> list[float]:
    """The values well inside of the measured window."""
    begin = WINDOW - LAUNCH
    pairs = zip(chart["t"], line(chart, label), strict=True)
    return [value for t, value in pairs if begin + 1 <= t <= begin + 4 and value is not None]


def test_a_run_has_its_charts_in_order() -> None:
    assert list(by_id(upload_run(growth=900 * MIB))) == [
        *("throughput", "latency", "cpu", "cores", "threads", "memory", "sockets"),
    ]


def test_a_run_without_anything_has_no_chart() -> None:
    assert charts(empty_run(), 100) == []
    assert phases(empty_run()) == []


def test_throughput_and_failures() -> None:
    chart = by_id(make_run(ticks=make_ticks(rps=1000, failures_per_s=40, workers=2)))["throughput"]
    assert in_window(chart, "responses") == pytest.approx([1000] * 12, rel=0.02)
    assert in_window(chart, "failures") == pytest.approx([40] * 12, rel=0.2)


def test_latency_of_a_moment_without_answers_is_not_known() -> None:
    ticks = [
        msgspec.structs.replace(tick, slice_count=0) if tick.t > WINDOW + 2 else tick
        for tick in make_ticks()
    ]
    chart = by_id(make_run(ticks=ticks))["latency"]
    values = line(chart, "p50")
    assert values[2] == pytest.approx(0.062)
    assert values[-3] is None
    assert chart["log"]


def test_two_loads_are_two_lines() -> None:
    run = make_run(
        phases=make_phases(profiled=True),
        ticks=(*make_ticks(end=COOLDOWN), *make_ticks(start=COOLDOWN, end=COOLDOWN + 0.7)),
    )
    values = line(by_id(run)["throughput"], "responses")
    assert values.count(None) == 2
    assert all(value >= 0 for value in values if value is not None)


def test_threads_are_split_into_running_and_waiting() -> None:
    samples = make_samples(one_thread(busy=0.6, waiting=0.3))
    chart = by_id(make_run(samples=samples))["threads"]
    assert chart["layers"] == 2
    assert chart["lines"][0]["label"] == "main 4242"
    assert chart["lines"][0]["values"][5] == pytest.approx(0.6, abs=0.01)
    assert chart["lines"][1]["values"][5] == pytest.approx(0.3, abs=0.01)


def test_only_the_busiest_threads_have_lanes() -> None:
    many = Process(threads=tuple(Thread(100 + n, n / 100, name=f"t{n}") for n in range(40)))
    chart = by_id(make_run(samples=make_samples((many,))))["threads"]
    assert [row["label"] for row in chart["lines"][::2]][:2] == ["t39 139", "t38 138"]
    assert len(chart["lines"]) == 32


def test_cores_say_whose_they_are() -> None:
    chart = by_id(make_run())["cores"]
    labels = [row["label"] for row in chart["lines"]]
    assert labels == ["core 0, server", "core 1, server", "core 2, load", "core 3, load"]
    assert chart["lines"][0]["values"][3] == pytest.approx(0.97, abs=0.01)


def test_a_core_that_is_offline_is_not_known() -> None:
    samples = [replace_host(sample, (1.0, -1.0)) for sample in make_samples()]
    chart = by_id(make_run(samples=samples))["cores"]
    assert set(chart["lines"][1]["values"]) == {None}


def replace_host(sample: Any, busy: tuple[float, ...]) -> Any:
    """The sample with other cores."""
    return msgspec.structs.replace(sample, host=HostSample(busy, 0.0, 0))


def test_the_server_and_its_cores() -> None:
    chart = by_id(make_run())["cpu"]
    assert in_window(chart, "server") == pytest.approx([1.9] * 12, rel=0.05)
    assert set(line(chart, "cores of the server")) == {2}


def test_memory_stands_beside_bodies_in_flight() -> None:
    chart = by_id(upload_run(growth=900 * MIB, in_flight=800 * MIB))["memory"]
    assert max(in_window(chart, "anonymous")) == pytest.approx(964 * MIB, rel=0.01)
    assert max(in_window(chart, "request bodies")) == pytest.approx(800 * MIB, rel=0.01)
    assert line(chart, "request bodies")[0] is None


def test_pressure_is_a_share_of_time() -> None:
    samples = [
        msgspec.structs.replace(
            sample,
            pressure=PressureSample(0.5 * sample.t, 0.0, 0.0, 0.1 * sample.t, 0.0),
            cgroup=CgroupSample(1.5, 0, 0, 0.25 * sample.t, -1, -1, -1, 0),
        )
        for sample in make_samples()
    ]
    chart = by_id(make_run(samples=samples))["pressure"]
    assert line(chart, "CPU")[3] == pytest.approx(0.5)
    assert line(chart, "memory")[3] == pytest.approx(0.1)
    assert line(chart, "stopped")[3] == pytest.approx(0.25)


def test_phases_end_with_the_samples_where_they_did_not() -> None:
    spans = make_phases()
    run = make_run(phases=(*spans[:-1], replace(spans[-1], ended=None)))
    told = phases(run)
    assert told[0] == {"name": "launch", "from": 0.0, "to": 1.0}
    assert told[-1]["to"] == pytest.approx(run.samples[-1].t - LAUNCH, abs=1e-3)


class TestFewerPoints:
    """Each stretch keeps its lowest and its highest value, in their order."""

    def chart(self, values: list[float | None]) -> Chart:
        """One line over whole seconds."""
        times = [float(n) for n in range(len(values))]
        return Chart("x", "X", "1/s", times, (Line("a", "good", values),))

    def test_a_short_one_stays(self) -> None:
        chart = self.chart([1.0, 2.0, 3.0])
        assert reduced(chart, 3) is chart

    def test_a_spike_and_a_dip_stay(self) -> None:
        values: list[float | None] = [5.0] * 10_000
        values[1234], values[7777] = 99.0, 0.5
        chart = reduced(self.chart(values), 100)
        assert len(chart.times) == 100
        assert chart.times == sorted(chart.times)
        kept = chart.lines[0].values
        assert max(value for value in kept if value is not None) == 99
        assert min(value for value in kept if value is not None) == 0.5

    def test_a_spike_stays_where_it_was(self) -> None:
        values: list[float | None] = [5.0] * 10_000
        values[1234] = 99.0
        chart = reduced(self.chart(values), 100)
        assert chart.times[chart.lines[0].values.index(99.0)] == pytest.approx(1234, abs=200)

    def test_the_order_in_a_stretch_stays(self) -> None:
        chart = reduced(self.chart([9.0, 5.0, 1.0, 1.0, 5.0, 9.0]), 4)
        assert chart.lines[0].values == [9.0, 1.0, 1.0, 9.0]

    def test_what_is_not_known_stays_so(self) -> None:
        chart = reduced(self.chart([None] * 50 + [3.0, 4.0] * 25), 4)
        assert chart.lines[0].values == [None, None, 3.0, 4.0]

    def test_four_digits_are_told(self) -> None:
        told = document(self.chart([123456.7, 0.00123456, 0.0, None, float("inf")]), 0.0)
        assert told["lines"][0]["values"] == [123500, 0.001235, 0, None, None]
