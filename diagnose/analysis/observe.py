"""What the samples of a phase amount to: threads, cores and memory over one stretch of time."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from diagnose.model.load import LoadTick
from diagnose.model.run import Run
from diagnose.model.samples import Sample, ThreadSample


@dataclass(frozen=True, slots=True)
class ThreadUse:
    """One thread over a stretch, in cores. Busy is running plus waiting for a core."""

    pid: int
    tid: int
    process: str
    name: str
    running: float
    waiting: float

    @property
    def busy(self) -> float:
        """A thread that waits for a core has work: it counts as busy."""
        return self.running + self.waiting


@dataclass(frozen=True, slots=True)
class Usage:
    """A stretch of samples in cores. threads: busiest first. host_busy: per core of the host.

    server_cores: CPU time of the tree by process totals, ended threads included. idle: unused
    cores among those that the server may run on. stolen: cores that the hypervisor gave to others.
    unread_sockets: the mean number of connections with bytes that the server had not read.
    """

    seconds: float
    samples: int
    largest_gap_s: float
    threads: tuple[ThreadUse, ...]
    server_cores: float
    host_busy: tuple[float, ...]
    idle: float
    sampler_cores: float
    stolen: float
    processes: int
    unread_sockets: float | None

    @property
    def busy(self) -> float:
        """Busy cores of all threads together."""
        return sum(thread.busy for thread in self.threads)


def usage(run: Run, phase: str = "window") -> Usage | None:
    """What the server and the host did during a phase; None with fewer than two samples."""
    samples = run.samples_in(phase)
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    seconds = last.t - first.t
    if seconds <= 0:
        return None
    # A core that was offline at either end has no figure of its own.
    busy = tuple(
        (after - before) / seconds if before >= 0 and after >= 0 else 0.0
        for before, after in zip(first.host.busy_s, last.host.busy_s, strict=False)
    )
    cpus = run.manifest.host.server_cpus
    # Time that the hypervisor gave to others was not there to be used.
    stolen = (last.host.steal_s - first.host.steal_s) / seconds
    stolen_each = stolen / max(1, len(busy))
    idle = sum(
        max(0.0, 1.0 - busy[cpu] - stolen_each)
        for cpu in cpus
        if cpu < len(busy) and first.host.busy_s[cpu] >= 0 and last.host.busy_s[cpu] >= 0
    )
    sockets = [sample.sockets.unread_sockets for sample in samples if sample.sockets]
    return Usage(
        seconds=seconds,
        samples=len(samples),
        largest_gap_s=_largest_gap(run, phase, samples),
        threads=_threads(samples),
        server_cores=_process_cpu(samples) / seconds,
        host_busy=busy,
        # The kernel counts idle time in ticks and misses short bursts of work.
        idle=max(0.0, min(idle, len(cpus) - _process_cpu(samples) / seconds)),
        sampler_cores=(last.cpu_s - first.cpu_s) / seconds,
        stolen=stolen,
        processes=len(last.processes),
        unread_sockets=sum(sockets) / len(sockets) if sockets else None,
    )


def _largest_gap(run: Run, phase: str, samples: Sequence[Sample]) -> float:
    """The longest time without a sample, from the start of the phase to its end."""
    span = run.phase(phase)
    times = [sample.t for sample in samples]
    if span is not None:
        times = [span.started, *times, *([] if span.ended is None else [span.ended])]
    return max(after - before for before, after in pairwise(times))


# A server that answers costs at least some microseconds a request; a tree that used less than a
# hundredth of a core over so many responses is not the one that answered.
UNSEEN_CORES = 0.01
UNSEEN_RESPONSES = 2000
UNSEEN_BYTES = 2**30


def unseen(run: Run, used: Usage | None) -> str:
    """Why the sampled processes cannot be the server that answered; '' when they can."""
    responses = run.load.responses if run.load else 0
    taken = run.load.body_answered if run.load else 0
    little = responses < UNSEEN_RESPONSES and taken < UNSEEN_BYTES
    if used is None or little or used.server_cores >= UNSEEN_CORES:
        return ""
    return (
        f"the sampled processes used {used.server_cores:.3f} cores over {responses} responses: "
        "the server that answered is not among them (a container? another PID?)"
    )


def _process_cpu(samples: Sequence[Sample]) -> float:
    """CPU seconds of the tree: last minus first sight of each process, ended ones included.

    A process that was not there at the first sample counts from zero.
    """
    first = {process.pid: process.user_s + process.system_s for process in samples[0].processes}
    last: dict[int, float] = {}
    for sample in samples:
        for process in sample.processes:
            last[process.pid] = process.user_s + process.system_s
    return sum(max(0.0, used - first.get(pid, 0.0)) for pid, used in last.items())


def _threads(samples: Sequence[Sample]) -> tuple[ThreadUse, ...]:
    """Per-thread cores over the whole stretch: last minus first sight of each thread."""
    detailed = [
        sample for sample in samples if any(process.threads for process in sample.processes)
    ]
    if len(detailed) < 2:
        return ()
    seconds = detailed[-1].t - detailed[0].t
    seen: dict[tuple[int, int], tuple[str, ThreadSample, ThreadSample]] = {}
    for sample in detailed:
        for process in sample.processes:
            for thread in process.threads:
                key = (process.pid, thread.tid)
                start = seen[key][1] if key in seen else thread
                seen[key] = (process.name, start, thread)
    uses = [
        ThreadUse(
            pid=pid,
            tid=tid,
            process=process,
            name=end.name,
            # A number that was given to another thread meanwhile counts from zero again.
            running=_since(start.run_s, end.run_s) / seconds,
            waiting=_since(start.wait_s, end.wait_s) / seconds,
        )
        for (pid, tid), (process, start, end) in seen.items()
    ]
    return tuple(sorted(uses, key=lambda use: -use.busy))


def _since(start: float, end: float) -> float:
    """The growth of a counter; one that went back began again from zero."""
    return end - start if end >= start else end


@dataclass(frozen=True, slots=True)
class MemoryView:
    """Anonymous and shared memory of the tree in bytes (`held`), over the load.

    baseline: just before any request beyond readiness. peak, at peak_t: the most from the first
    body to the end of the drain. window_slope: bytes per second over the last half of the window.
    """

    baseline: int
    peak: int
    peak_t: float
    final: int
    window_slope: float

    @property
    def growth(self) -> int:
        """Peak above baseline."""
        return self.peak - self.baseline


# Their heaps grow with what was allocated, not with what is alive, until the limit is near:
# streaming servers measured 0.1 to 2.4 bytes of growth per body byte in flight there.
LAZY_HEAPS = ("jvm", "dotnet")


def lazy_heaps(run: Run) -> list[str]:
    """The runtimes of the server that keep garbage for long."""
    return sorted(set(run.manifest.launch.runtimes.values()) & set(LAZY_HEAPS))


LOAD_PHASES = ("wave", "warmup", "window", "drain")


def memory(run: Run) -> MemoryView | None:
    """Memory under load against memory before it; None when either was not sampled."""
    before = run.samples_in("idle")
    loaded = [sample for name in (*LOAD_PHASES, "load") for sample in run.samples_in(name)]
    if not before or len(loaded) < 2:
        return None
    loaded.sort(key=lambda sample: sample.t)
    peak = max(loaded, key=lambda sample: sample.held)
    half = run.samples_in("window") or tuple(loaded)
    half = half[len(half) // 2 :]
    seconds = half[-1].t - half[0].t
    return MemoryView(
        baseline=before[-1].held,
        peak=peak.held,
        peak_t=peak.t,
        final=loaded[-1].held,
        window_slope=(half[-1].held - half[0].held) / seconds if seconds > 0 else 0.0,
    )


class TickSeries:
    """A counter of the load workers as a function of time: interpolated, summed over workers."""

    def __init__(self, ticks: Sequence[LoadTick], field: str) -> None:
        self._series: list[tuple[list[float], list[float]]] = []
        workers: dict[int, tuple[list[float], list[float]]] = {}
        for tick in ticks:
            times, values = workers.setdefault(tick.worker, ([], []))
            if not times or tick.t > times[-1]:
                times.append(tick.t)
                values.append(float(getattr(tick, field)))
        self._series = list(workers.values())

    def at(self, t: float) -> float:
        """The sum at time t; outside of the recorded time the nearest value counts."""
        total = 0.0
        for times, values in self._series:
            index = bisect.bisect_left(times, t)
            if index == 0:
                total += values[0]
            elif index == len(times):
                total += values[-1]
            else:
                left, right = times[index - 1], times[index]
                share = (t - left) / (right - left)
                total += values[index - 1] + share * (values[index] - values[index - 1])
        return total


@lru_cache(maxsize=8)
def _tick_series(ticks: tuple[LoadTick, ...], field: str) -> TickSeries:
    return TickSeries(ticks, field)


def measured_ticks(run: Run) -> tuple[LoadTick, ...]:
    """The ticks of the measured load, those of the profiled ones left out."""
    spans = [run.phase(name) for name in ("profile", "off_cpu")]
    starts = [span.started for span in spans if span is not None]
    if not starts:
        return run.ticks
    return tuple(tick for tick in run.ticks if tick.t < min(starts))


def bodies_in_server(run: Run) -> list[tuple[float, float, int]]:
    """(time, body bytes that the server has read and not answered, memory held) at each sample.

    Read are the bytes that the client handed to its kernel less those that still wait in either
    kernel: sent - unsent at the client - unread at the server.
    """
    ticks = measured_ticks(run)
    if not ticks:
        return []
    series = _tick_series(ticks, "body_in_flight")
    start, end = ticks[0].t, ticks[-1].t
    rows: list[tuple[float, float, int]] = []
    for sample in run.samples:
        if sample.sockets is None or not start <= sample.t <= end:
            continue
        queued = sample.sockets.unread_bytes + sample.sockets.client_unsent_bytes
        rows.append((sample.t, max(0.0, series.at(sample.t) - queued), sample.held))
    return rows
