"""The figures of a run that people quote, from the measured window only."""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.analysis.generator import not_told
from diagnose.analysis.observe import Usage, memory, usage
from diagnose.model.run import Run


@dataclass(frozen=True, slots=True)
class Figures:
    """Rates per second, times in seconds, memory in bytes, CPU in cores.

    None is what was not measured. rps: right 2xx responses. memory_*: anonymous and shared memory
    of the tree; peak_rss, up to the end of the measured load, includes file pages. foreign_cores:
    other programs on the host.
    """

    rps: float
    responses: int
    errors: int
    p50_s: float | None
    p90_s: float | None
    p99_s: float | None
    p999_s: float | None
    max_s: float | None
    cpu_cores: float | None
    load_cores: float
    idle_cores: float | None
    foreign_cores: float | None
    sampler_cores: float | None
    peak_rss_bytes: int | None
    memory_baseline_bytes: int | None
    memory_peak_bytes: int | None
    connections: int
    established: int | None
    reconnects: int | None
    responses_per_connection: float
    unanswered: int | None
    bytes_sent_per_s: float | None
    bytes_received_per_s: float
    body_answered_per_s: float
    duration_s: float


def figures(run: Run) -> Figures:
    """The figures of a run; what is missing in a partial run is None or 0."""
    load = run.load
    # A driver tells less: what it does not tell is not 0.
    driven = bool(not_told(run))
    used = usage(run)
    seen = memory(run)
    seconds = load.duration_s if load and load.duration_s > 0 else 0.0
    latency = load.latency if load and load.latency.samples else None
    load_cores = (
        sum(worker.cpu_s / worker.wall_s for worker in load.workers if worker.wall_s > 0)
        if load
        else 0.0
    )
    profile = run.phase("profile")
    end = profile.started if profile else float("inf")
    rss = [sample.rss for sample in run.samples if sample.t < end]
    used_connections = (load.connections + load.opens) if load else 0
    return Figures(
        rps=load.rps if load else 0.0,
        responses=load.responses if load else 0,
        errors=load.failed if load else 0,
        p50_s=latency.p50_s if latency else None,
        p90_s=latency.p90_s if latency else None,
        p99_s=latency.p99_s if latency else None,
        p999_s=latency.p999_s if latency else None,
        max_s=latency.max_s if latency else None,
        cpu_cores=used.server_cores if used else None,
        load_cores=load_cores,
        idle_cores=_idle(run, used, load_cores) if used else None,
        foreign_cores=_foreign(used, load_cores) if used and load else None,
        sampler_cores=used.sampler_cores if used else None,
        peak_rss_bytes=max(rss) if rss else None,
        memory_baseline_bytes=seen.baseline if seen else None,
        memory_peak_bytes=seen.peak if seen else None,
        connections=run.manifest.connections,
        established=None if driven else load.established if load else 0,
        reconnects=None if driven and load and not load.opens else load.opens if load else 0,
        responses_per_connection=load.responses / used_connections
        if load and used_connections
        else 0.0,
        unanswered=None if driven else load.unanswered if load else 0,
        bytes_sent_per_s=None if driven else load.bytes_sent / seconds if load and seconds else 0.0,
        bytes_received_per_s=load.bytes_received / seconds if load and seconds else 0.0,
        body_answered_per_s=load.body_answered / seconds if load and seconds else 0.0,
        duration_s=seconds,
    )


def _idle(run: Run, used: Usage, load_cores: float) -> float:
    """Idle cores; where the load shares them, not more than what both left."""
    if run.manifest.host.cpu_mode != "shared":
        return used.idle
    return max(0.0, min(used.idle, len(run.manifest.host.cpus) - used.server_cores - load_cores))


def _foreign(used: Usage, load_cores: float) -> float:
    """Busy cores of the host that neither server, load workers nor sampler account for."""
    known = used.server_cores + load_cores + used.sampler_cores
    return max(0.0, sum(used.host_busy) - known)
