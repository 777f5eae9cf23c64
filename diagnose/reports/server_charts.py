"""What the sampler saw over time: cores, threads, memory, sockets, pressure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from diagnose.analysis.observe import TickSeries, usage
from diagnose.model.run import Run
from diagnose.model.samples import Sample, SocketSample
from diagnose.reports.chart import Chart, Line, Values, clipped
from diagnose.reports.load_charts import loads

# CPU time comes in ticks of 10 ms: shorter steps show the ticks, not the server.
STEP_S = 0.25
# More lanes than these are thinner than the eye can follow.
MOST_CORES = 64
MOST_THREADS = 16


def of_samples(run: Run) -> list[Chart]:
    """The charts; none with fewer than three samples."""
    if len(run.samples) < 3:
        return []
    return [_cpu(run), _cores(run), _threads(run), _memory(run), _sockets(run), _pressure(run)]


def _stepped(samples: Sequence[Sample]) -> list[Sample]:
    """Every sample that is at least STEP_S after the one before."""
    kept = [samples[0]]
    for sample in samples[1:]:
        if sample.t - kept[-1].t >= STEP_S:
            kept.append(sample)
    return kept


def _cpu(run: Run) -> Chart:
    kept = _stepped(run.samples)
    at, server, host = [], [], []
    for before, after in pairwise(kept):
        seconds = after.t - before.t
        at.append((before.t + after.t) / 2)
        then = {process.pid: process.user_s + process.system_s for process in before.processes}
        used = sum(
            max(0.0, process.user_s + process.system_s - then.get(process.pid, 0.0))
            for process in after.processes
        )
        server.append(used / seconds)
        host.append(
            sum(
                max(0.0, b - a)
                for a, b in zip(before.host.busy_s, after.host.busy_s, strict=False)
                if a >= 0 and b >= 0
            )
            / seconds
        )
    cores: Values = [float(len(run.manifest.host.server_cpus))] * len(at)
    return Chart(
        "cpu", "CPU", "cores", at,
        (
            Line("server", "accent", [*server]),
            Line("whole host", "muted", [*host]),
            Line("cores of the server", "limit", cores, dashed=True),
        ),
        "the host includes the load generator and all else",
    )  # fmt: skip


def _cores(run: Run) -> Chart:
    kept = _stepped(run.samples)
    host = run.manifest.host
    count = len(kept[0].host.busy_s)
    # Those of the server first: where there are too many, the others are left out.
    order = sorted(range(count), key=lambda core: (core not in host.server_cpus, core))
    lines = []
    for core in order[:MOST_CORES]:
        both = core in host.server_cpus and core in host.load_cpus
        owner = "" if both else ", server" if core in host.server_cpus else ""
        owner = ", load" if not owner and not both and core in host.load_cpus else owner
        values: Values = []
        for before, after in pairwise(kept):
            pair = [sample.host.busy_s[core : core + 1] for sample in (before, after)]
            known = all(pair) and min(pair[0][0], pair[1][0]) >= 0
            busy = (pair[1][0] - pair[0][0]) / (after.t - before.t) if known else None
            values.append(None if busy is None else min(1.0, max(0.0, busy)))
        lines.append(Line(f"core {core}{owner}", "accent", values))
    return Chart(
        "cores", "Cores of the host", "share", [(a.t + b.t) / 2 for a, b in pairwise(kept)],
        tuple(lines), "busy share of each", lanes=True,
    )  # fmt: skip


def _threads(run: Run) -> Chart:
    used = usage(run) or usage(run, "warmup")
    wanted = [(use.pid, use.tid) for use in used.threads[:MOST_THREADS]] if used else []
    kept = _stepped([s for s in run.samples if any(p.threads for p in s.processes)] or run.samples)
    seen = [
        {
            (process.pid, thread.tid): thread
            for process in sample.processes
            for thread in process.threads
        }
        for sample in kept
    ]
    lines: list[Line] = []
    for number, key in enumerate(wanted):
        running: Values = []
        waiting: Values = []
        for (a, before), (b, after) in pairwise(zip(kept, seen, strict=True)):
            then, now = before.get(key), after.get(key)
            if then is None or now is None or now.run_s < then.run_s:
                running.append(None)
                waiting.append(None)
                continue
            running.append(min(1.0, (now.run_s - then.run_s) / (b.t - a.t)))
            waiting.append(min(1.0, max(0.0, now.wait_s - then.wait_s) / (b.t - a.t)))
        assert used is not None
        label = f"{clipped(used.threads[number].name)} {key[1]}"
        lines += [Line(label, "accent", running), Line("waits for a core", "warn", waiting)]
    return Chart(
        "threads", "Busiest threads", "share", [(a.t + b.t) / 2 for a, b in pairwise(kept)],
        tuple(lines), "running, and on top ready to run and waiting for a core",
        lanes=True, layers=2,
    )  # fmt: skip


def _memory(run: Run) -> Chart:
    samples = run.samples
    bodies: Values = [None] * len(samples)
    for ticks in loads(run):
        if not any(tick.body_in_flight for tick in ticks):
            continue
        series = TickSeries(ticks, "body_in_flight")
        for index, sample in enumerate(samples):
            if ticks[0].t <= sample.t <= ticks[-1].t:
                bodies[index] = series.at(sample.t)
    return Chart(
        "memory", "Memory beside request bodies in flight", "bytes", [s.t for s in samples],
        (
            Line("anonymous and shared memory", "bad", [float(s.held) for s in samples]),
            Line("RSS with file pages", "muted", [float(s.rss) for s in samples], dashed=True),
            Line("request bodies in flight", "accent", bodies),
        ),
    )  # fmt: skip


def _sockets(run: Run) -> Chart:
    samples = run.samples
    in_flight: Values = [None] * len(samples)
    for ticks in loads(run):
        series = TickSeries(ticks, "in_flight")
        for index, sample in enumerate(samples):
            if ticks[0].t <= sample.t <= ticks[-1].t:
                in_flight[index] = series.at(sample.t)

    def of(value: Callable[[SocketSample], int]) -> Values:
        return [None if s.sockets is None else float(value(s.sockets)) for s in samples]

    queue: Values = []
    for sample in samples:
        source = sample.listeners or sample.sockets
        queue.append(None if source is None else float(source.accept_queue))
    return Chart(
        "sockets", "Sockets and accept queue", "count", [s.t for s in samples],
        (
            Line("established", "good", of(lambda sockets: sockets.established)),
            Line("requests in flight", "accent", in_flight),
            Line("with bytes the server has not read", "warn", of(lambda s: s.unread_sockets)),
            Line("waiting to be accepted", "bad", queue),
        ),
    )  # fmt: skip


def _pressure(run: Run) -> Chart:
    rows = [sample for sample in run.samples if sample.pressure is not None]
    at, cpu, io, memory, throttled = [], [], [], [], []
    for before, after in pairwise(_stepped(rows) if rows else []):
        then, now, seconds = before.pressure, after.pressure, after.t - before.t
        assert then is not None
        assert now is not None
        at.append((before.t + after.t) / 2)
        cpu.append((now.cpu_some_s - then.cpu_some_s) / seconds)
        io.append((now.io_some_s - then.io_some_s) / seconds)
        memory.append((now.memory_some_s - then.memory_some_s) / seconds)
        stopped = None
        if before.cgroup and after.cgroup and after.cgroup.quota_cores >= 0:
            stopped = after.cgroup.throttled_s - before.cgroup.throttled_s
        throttled.append(None if stopped is None else stopped / seconds)
    return Chart(
        "pressure", "Pressure", "share", at,
        (
            Line("CPU", "accent", _shares(cpu)),
            Line("disk", "warn", _shares(io)),
            Line("memory", "bad", _shares(memory)),
            Line("stopped by the CPU quota", "limit", _shares(throttled), dashed=True),
        ),
        "share of the time in which something on the host waited for it",
    )  # fmt: skip


def _shares(values: Iterable[float | None]) -> Values:
    return [None if value is None else min(1.0, max(0.0, value)) for value in values]


def rate(times: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Differences of a cumulative counter over at least STEP_S, at the middle of each step."""
    at: list[float] = []
    rates: list[float] = []
    last = 0
    for index in range(1, len(times)):
        if times[index] - times[last] >= STEP_S:
            at.append((times[index] + times[last]) / 2)
            rates.append((values[index] - values[last]) / (times[index] - times[last]))
            last = index
    return at, rates
