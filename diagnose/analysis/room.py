"""How much of its cores the server did not want while requests waited, and what may be made of it.

Every rule that asks why a server does not use its cores starts here: where cores were used up, or
where there was no work for them, nothing held the server back from using them.
"""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import LATE_SHARE, bounded_load, not_told, worst_lag_share
from diagnose.analysis.observe import Usage, measured_ticks, unseen, usage
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

# Idle time of a busy two-core machine comes to a few percent (measured on healthy servers: 0 to
# 8 %); a single busy thread of two leaves 25 % and more beside its generator.
ROOM_FOUND = 0.2
ROOM_CLEAR = 0.12
# With fewer requests in flight than this for each core, cores idle for want of work.
MIN_IN_FLIGHT = 2.0
MIN_SAMPLES = 10


@dataclass(frozen=True, slots=True)
class Room:
    """What the server left of the cores that it may use (its CPU set, or a smaller CPU quota).

    unwanted: cores that were idle, or taken by other programs while the server's threads did not
    even wait for one. in_flight: mean number of requests sent and not answered. doubt: why nothing
    follows from unwanted cores; '' where they were left although there was work.
    """

    cores: float
    unwanted: float
    in_flight: float
    doubt: str
    lag: float

    @property
    def share(self) -> float:
        """The unwanted part of the cores."""
        return self.unwanted / self.cores if self.cores > 0 else 0.0


def room(run: Run, used: Usage) -> Room:
    """The cores that were left over in the window."""
    cpus = len(run.manifest.host.server_cpus)
    quota = quota_cores(run)
    cores = float(cpus) if quota is None else min(float(cpus), quota)
    there = min(cores, cpus - generator_cores(run) - used.stolen)
    unwanted = max(
        min(used.idle, cores - used.server_cores),
        there - max(used.busy, used.server_cores),
        0.0,
    )
    in_flight = mean_in_flight(run)
    lag = worst_lag_share(run)
    return Room(cores, unwanted, in_flight, _doubt(run, cores, in_flight, lag), lag)


def _doubt(run: Run, cores: float, in_flight: float, lag: float) -> str:
    if in_flight < MIN_IN_FLIGHT * cores:
        return f"{in_flight:.1f} requests in flight cannot keep {cores:g} cores busy"
    overdue = run.load.overdue if run.load else 0
    if bounded := bounded_load(run.manifest.scenario, overdue):
        return f"{bounded}: the server may have had nothing to do"
    if lag > LATE_SHARE:
        return f"{lag:.0%} of the latency was the generator's own: it may be what was waited for"
    return ""


def quota_cores(run: Run) -> float | None:
    """The CPU quota of the server's cgroups in cores, the smallest of the window; None: none."""
    quotas = [
        sample.cgroup.quota_cores
        for sample in run.samples_in("window")
        if sample.cgroup is not None and sample.cgroup.quota_cores > 0
    ]
    return min(quotas, default=None)


def mean_in_flight(run: Run) -> float:
    """The mean number of requests that were sent and not answered in the window."""
    ticks = [tick.in_flight for tick in measured_ticks(run) if tick.phase == "window"]
    workers = max(1, len(run.load.workers)) if run.load else 1
    if not_told(run):
        # A driver's closed loop: it has no ticks, but its connections are busy all the time.
        ticks = [run.manifest.connections * run.manifest.scenario.pipeline]
    return sum(ticks) / len(ticks) * workers if ticks else 0.0


def asking_connections(run: Run) -> float:
    """The mean number of connections with a request in flight: each has several with pipelining."""
    return mean_in_flight(run) / max(1, run.manifest.scenario.pipeline)


def generator_cores(run: Run) -> float:
    """Cores that the load workers had or waited for, where they share the server's."""
    if run.load is None or run.manifest.host.cpu_mode != "shared":
        return 0.0
    return sum(
        (worker.cpu_s + worker.run_queue_s) / worker.wall_s
        for worker in run.load.workers
        if worker.wall_s > 0
    )


def taken_cores(run: Run, used: Usage) -> float:
    """Cores of server and load that other programs, or other machines of the host below, had."""
    load = run.load.workers if run.load else ()
    known = used.server_cores + used.sampler_cores
    known += sum(worker.cpu_s / worker.wall_s for worker in load if worker.wall_s > 0)
    cpus = {*run.manifest.host.server_cpus, *run.manifest.host.load_cpus}
    busy = sum(used.host_busy[cpu] for cpu in cpus if cpu < len(used.host_busy))
    return max(0.0, busy - known) + max(0.0, used.stolen)


def left_over(run: Run, rule: str, kind: Kind) -> Room | Finding:
    """The cores that were left over, for a rule that asks why; its answer where none were, or where
    nothing follows from them."""
    used = usage(run)
    if used is None or run.load is None or not used.threads or used.samples < MIN_SAMPLES:
        return unknown(rule, kind, "the threads were hardly sampled in the window")
    if outside := unseen(run, used):
        return unknown(rule, kind, outside)
    left = room(run, used)
    taken = taken_cores(run, used)
    if left.share <= ROOM_CLEAR < (left.unwanted + taken) / left.cores:
        return unknown(
            rule,
            kind,
            f"other programs had {taken:.2f} cores: what the server would have left of them is not "
            "known",
        )
    if left.share <= ROOM_CLEAR:
        claim = f"the server used or wanted {1 - left.share:.0%} of its {left.cores:g} cores"
        row = Evidence("unwanted_share", left.share, "ratio", ROOM_CLEAR, "samples.jsonl")
        return finding(rule, kind, Verdict.CLEAR, claim, [row])
    if left.doubt:
        return unknown(rule, kind, left.doubt)
    return left
