"""Pictures of a run: throughput and latency, CPU, memory."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from diagnose.analysis.observe import TickSeries, usage
from diagnose.model.load import LoadTick
from diagnose.model.run import Run
from diagnose.model.samples import Sample
from diagnose.reports.load_charts import STEP_S, loads
from diagnose.reports.server_charts import rate

BUSIEST_THREADS = 6
LABEL_SHARE = 0.06
MIB = 2**20
_PHASE_COLORS = {
    "wave": "#dbe9f6",
    "warmup": "#fff3cd",
    "window": "#d9f2e1",
    "drain": "#e2e3e5",
    "profile": "#e3dcf5",
}


def pictures(run: Run) -> dict[str, bytes]:
    """PNG files by name; a picture without data is left out."""
    made: dict[str, bytes] = {}
    origin = run.manifest.phases[0].started if run.manifest.phases else 0.0
    if len(run.ticks) > 2:
        made["throughput-and-latency.png"] = _png(_throughput(run, origin))
    if len(run.samples) > 2:
        made["cpu.png"] = _png(_cpu(run, origin))
        made["memory.png"] = _png(_memory(run, origin))
    return made


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(out, format="png")
    return out.getvalue()


def _axes(rows: int, run: Run, origin: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(9, 2.6 * rows + 0.6), dpi=110, layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for axis in axes:
        for span in run.manifest.phases:
            if span.name in _PHASE_COLORS and span.ended is not None:
                axis.axvspan(
                    span.started - origin,
                    span.ended - origin,
                    color=_PHASE_COLORS[span.name],
                    zorder=0,
                    label=None,
                )
        axis.grid(alpha=0.3)
        axis.margins(x=0.01)
    whole = run.samples[-1].t - origin if run.samples else 0.0
    for span in run.manifest.phases:
        if span.name not in _PHASE_COLORS or span.ended is None:
            continue
        # A label over a narrow phase would run into the next one.
        if span.ended - span.started > LABEL_SHARE * whole:
            axes[0].annotate(
                span.name,
                ((span.started + span.ended) / 2 - origin, 1.01),
                xycoords=("data", "axes fraction"),
                ha="center",
                fontsize=8,
                color="#555555",
            )
    axes[-1].set_xlabel("seconds since the start of the run")
    return figure, list(axes)


def _steps(ticks: Sequence[LoadTick]) -> list[float]:
    start, end = ticks[0].t, ticks[-1].t
    return [*list(np.arange(start, end, STEP_S)), end]


def _throughput(run: Run, origin: float) -> Figure:
    figure, (top, bottom) = _axes(2, run, origin)
    for number, ticks in enumerate(loads(run)):
        steps = _steps(ticks)
        middles = [(a + b) / 2 - origin for a, b in pairwise(steps)]
        for field, color, label in (
            ("responses", "#1b6e3c", "responses"),
            ("failures", "#b3261e", "failures"),
        ):
            series = TickSeries(ticks, field)
            rates = [(series.at(b) - series.at(a)) / max(b - a, 1e-9) for a, b in pairwise(steps)]
            top.plot(middles, rates, color=color, label=label if number == 0 else None)
        answered = [tick for tick in ticks if tick.slice_count]
        for field, color, label in (
            ("slice_p50_s", "#1f5fa8", "p50"),
            ("slice_p99_s", "#d08a00", "p99"),
            ("slice_max_s", "#b3261e", "max"),
        ):
            bottom.plot(
                [tick.t - origin for tick in answered],
                [getattr(tick, field) * 1e3 for tick in answered],
                ".",
                markersize=3,
                color=color,
                label=label if number == 0 else None,
            )
    top.set_ylabel("per second")
    top.set_ylim(bottom=0)
    top.legend(loc="upper right", fontsize=8)
    bottom.set_ylabel("latency, ms")
    if any(tick.slice_p50_s > 0 for tick in run.ticks):
        bottom.set_yscale("log")
    bottom.legend(loc="upper right", fontsize=8)
    return figure


def _cpu(run: Run, origin: float) -> Figure:
    figure, (top, bottom) = _axes(2, run, origin)
    times = [sample.t - origin for sample in run.samples]
    for core in range(len(run.samples[0].host.busy_s)):
        if len(run.samples[0].host.busy_s) > 16 and core not in run.manifest.host.server_cpus[:16]:
            continue
        if any(
            len(sample.host.busy_s) <= core or sample.host.busy_s[core] < 0
            for sample in run.samples
        ):
            continue
        at, rates = rate(times, [sample.host.busy_s[core] for sample in run.samples])
        top.plot(at, rates, label=f"core {core}", linewidth=1.2)
    top.set_ylabel("busy share of each core")
    top.set_ylim(0, 1.05)
    top.legend(loc="upper right", fontsize=8, ncols=4)
    used = usage(run)
    for number, thread in enumerate(used.threads[:BUSIEST_THREADS] if used else ()):
        points = _thread(run.samples, thread.pid, thread.tid)
        label = f"{_label(thread.name)} {thread.pid}/{thread.tid}"
        moments = [t - origin for t, _, _ in points]
        at, busy = rate(moments, [run_s + wait_s for _, run_s, wait_s in points])
        bottom.plot(at, busy, color=f"C{number}", label=label, linewidth=1.4)
        at, running = rate(moments, [run_s for _, run_s, _ in points])
        bottom.plot(at, running, color=f"C{number}", linewidth=0.9, linestyle=":")
    bottom.set_ylabel("busiest threads, cores")
    bottom.set_ylim(0, 1.1)
    if used and used.threads:
        bottom.legend(
            loc="upper right", fontsize=7, title="busy (dotted: running)", title_fontsize=7
        )
    return figure


def _label(name: str) -> str:
    """A thread's name as matplotlib shows it: no mathematics, no glyphs that its font lacks, and
    no leading underscore, which would hide the label."""
    shown = name.encode("ascii", "replace").decode()
    shown = "".join(character if character.isprintable() else "?" for character in shown)
    return shown.replace("$", r"\$").lstrip("_") or "?"


def _thread(samples: Sequence[Sample], pid: int, tid: int) -> list[tuple[float, float, float]]:
    return [
        (sample.t, thread.run_s, thread.wait_s)
        for sample in samples
        for process in sample.processes
        if process.pid == pid
        for thread in process.threads
        if thread.tid == tid
    ]


def _memory(run: Run, origin: float) -> Figure:
    figure, (axis,) = _axes(1, run, origin)
    times = [sample.t - origin for sample in run.samples]
    axis.plot(
        times,
        [sample.held / MIB for sample in run.samples],
        color="#b3261e",
        label="server: anonymous and shared memory",
        linewidth=1.8,
    )
    axis.plot(
        times,
        [sample.rss / MIB for sample in run.samples],
        color="#b3261e",
        linestyle=":",
        label="server: RSS with file pages",
        linewidth=1.0,
    )
    for number, ticks in enumerate(loads(run)):
        if not any(tick.body_in_flight for tick in ticks):
            continue
        series = TickSeries(ticks, "body_in_flight")
        moments = [sample.t for sample in run.samples if ticks[0].t <= sample.t <= ticks[-1].t]
        axis.plot(
            [t - origin for t in moments],
            [series.at(t) / MIB for t in moments],
            color="#1f5fa8",
            label="request bodies in flight" if number == 0 else None,
            linewidth=1.2,
        )
    axis.set_ylabel("MiB")
    axis.set_ylim(bottom=0)
    axis.legend(loc="upper left", fontsize=8)
    return figure
