"""How memory grows with the responses that are given, and with the connections that are open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from diagnose.analysis.observe import TickSeries, measured_ticks
from diagnose.model.run import Run
from diagnose.model.samples import Sample

# Collectors that give memory back to the program only now and then: their heap grows by what was
# allocated until a limit that is a multiple of what is alive. The factors are those of the
# runtimes' defaults: Go GOGC 100, OCaml space_overhead 80 to 120, Ruby 1.8, V8 up to 4 for small
# heaps (heap-growing-factor). Unknown runtimes are taken for one of these.
HEAP_FACTORS = {
    **{"go": 2.0, "ocaml": 2.2, "ruby": 2.0, "erlang": 2.5, "php": 2.0},
    **{"node": 3.0, "bun": 3.0, "deno": 3.0, "unknown": 3.0},
}


def heap_factor(run: Run) -> float:
    """By how much a heap of these runtimes may grow beyond what is alive; 1.0 without such."""
    runtimes = run.manifest.launch.runtimes.values()
    return max([HEAP_FACTORS.get(runtime, 1.0) for runtime in runtimes], default=3.0)


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through points: its slope, and how much of the points it explains (r2)."""

    slope: float
    r2: float
    points: int


def fitted(points: Sequence[tuple[float, float]]) -> Line | None:
    """The least-squares line; None with fewer than three points or without any spread."""
    count = len(points)
    if count < 3:
        return None
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    sxx = sum((x - mean_x) ** 2 for x, _ in points)
    syy = sum((y - mean_y) ** 2 for _, y in points)
    sxy = sum((x - mean_x) * (y - mean_y) for x, y in points)
    if sxx <= 0:
        return None
    return Line(sxy / sxx, sxy * sxy / (sxx * syy) if syy > 0 else 0.0, count)


@dataclass(frozen=True, slots=True)
class Growth:
    """Memory against responses. before: held before the first connection of the load. line, first,
    second: bytes per response over the window, and over each half of it. again: bytes per response
    over the profiled load, which comes after it; None where there was none, or none was answered.
    began, ended: held at the start and the end of the window. peak: the most until its end.
    kept: held at the end of the cool-down; None where the run did not get there.
    last: held at the end of all load.
    """

    before: int
    began: int
    ended: int
    peak: int
    last: int
    kept: int | None
    line: Line
    first: Line
    second: Line
    again: float | None
    responses: float


def responses(run: Run) -> TickSeries | None:
    """Responses of the measured load so far, by time, those of its trial included; None where the
    generator does not tell. Workers that were replaced after the trial count from zero again."""
    before: dict[int, int] = {}
    base: dict[int, int] = {}
    rising = []
    for tick in measured_ticks(run):
        if tick.responses < before.get(tick.worker, 0):
            base[tick.worker] = base.get(tick.worker, 0) + before[tick.worker]
        before[tick.worker] = tick.responses
        total = base.get(tick.worker, 0) + tick.responses
        rising.append(msgspec.structs.replace(tick, responses=total))
    return TickSeries(rising, "responses") if rising else None


def growth(run: Run) -> Growth | None:
    """How memory grew; None with too few samples, or where the load does not tell its responses."""
    window = run.samples_in("window")
    series, before = responses(run), before_connections(run)
    if before is None or len(window) < MIN_SAMPLES or series is None:
        return None
    points = [(series.at(sample.t), float(sample.held)) for sample in window]
    middle = len(points) // 2
    lines = fitted(points), fitted(points[:middle]), fitted(points[middle:])
    if lines[0] is None or lines[1] is None or lines[2] is None:
        return None
    cooldown = run.samples_in("cooldown")
    loaded = [sample.held for sample in run.samples if sample.t <= window[-1].t]
    profiled = run.samples_in("profile")
    return Growth(
        before=before.held,
        began=window[0].held,
        ended=window[-1].held,
        peak=max(loaded),
        last=(profiled or window)[-1].held,
        kept=cooldown[-1].held if cooldown else None,
        line=lines[0],
        first=lines[1],
        second=lines[2],
        again=_again(run),
        responses=points[-1][0] - points[0][0],
    )


def before_connections(run: Run) -> Sample | None:
    """The last sample before the first connection of the load."""
    span = run.phase("connect") or run.phase("warmup") or run.phase("window")
    if span is None:
        return None
    earlier = [sample for sample in run.samples if sample.t < span.started]
    return earlier[-1] if earlier else None


# Six samples for each half of the window.
MIN_SAMPLES = 12
# With fewer responses what it takes to begin (new connections, a profiler) is not outweighed.
MIN_AGAIN = 100


def _again(run: Run) -> float | None:
    """Bytes per response over the second half of the profiled load, which opens its own
    connections at its beginning."""
    span, samples = run.phase("profile"), run.samples_in("profile")
    if span is None or span.ended is None or len(samples) < 8:
        return None
    ticks = [tick for tick in run.ticks if span.started <= tick.t <= span.ended]
    if not ticks:
        return None
    series = TickSeries(ticks, "responses")
    # Load, not the time in which profilers write what they have.
    loaded = [sample for sample in samples if ticks[0].t <= sample.t <= ticks[-1].t]
    points = [(series.at(sample.t), float(sample.held)) for sample in loaded[len(loaded) // 3 :]]
    if len(points) < 5 or points[-1][0] - points[0][0] < MIN_AGAIN:
        return None
    line = fitted(points)
    return None if line is None else line.slope


@dataclass(frozen=True, slots=True)
class Opened:
    """The connect phase: memory before and after, with no request in between. processes: by how
    many there were more after it. connections: how many were established."""

    before: int
    after: int
    processes: int
    connections: int

    @property
    def growth(self) -> int:
        """Memory that the connections took."""
        return self.after - self.before


def connecting(run: Run) -> Opened | None:
    """What opening the connections took; None where they were not opened before the load."""
    before, opened = before_connections(run), run.samples_in("connect")
    if before is None or not opened or run.manifest.scenario.ramp_s:
        return None
    # The last sample before may have been taken while a probe's body was still growing the heap.
    # A phase begins with a sample of everything: where it saw no connection yet, it counts too.
    none_yet = [n for n, each in enumerate(opened) if each.sockets and not each.sockets.established]
    begun = [sample.held for sample in opened[: none_yet[-1] + 1]] if none_yet else []
    return Opened(
        before=max([before.held, *begun]),
        after=opened[-1].held,
        processes=len(opened[-1].processes) - len(before.processes),
        connections=run.load.established if run.load else run.manifest.connections,
    )
