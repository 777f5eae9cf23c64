"""Other programs, or other machines of the host below, took CPU time during the window.

The server then had fewer cores than it was given, and how many changed from moment to moment:
throughput and latency belong to this hour on this machine, and two runs cannot be compared. Seen by
the busy time of the cores that server and load may use, less what the server's tree, the load
workers and the sampler used, and by the time that the hypervisor gave to others (steal). Short
bursts count too, because they make the slowest percentiles. The kernel's own work for the load is
charged to whoever ran, and is not foreign. Unknown between the limits, and where the server is not
among the sampled processes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import TickSeries, measured_ticks, unseen, usage
from diagnose.analysis.observe_processes import forks
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.model.samples import ProcessSample, Sample

KIND = Kind.VALIDITY
NEEDS: tuple[str, ...] = ()

# A run alone on two cores left 0.00 to 0.05 cores, with 4096 connections 0.03 to 0.085 (0.07 of it
# the kernel's ksoftirqd). Programs that were known to run beside it showed as 0.25 and more.
FOREIGN_FOUND = 0.2
FOREIGN_CLEAR = 0.1
# What the hypervisor took is counted by it and exactly: there is no residue to allow for.
STOLEN_FOUND = 0.1
# The kernel counts busy time in ticks of 4 to 10 ms: over half a second and two cores the count of
# a quiet machine strayed by 0.05 cores (standard deviation), 0.14 at most.
SLICE_S = 0.5
BURST_CORES = 0.3
# One slice of ten is a burst that a median survives; two are a program that runs on and off.
BURST_SHARE = 0.15
MIN_SLICES = 4
MIN_SAMPLES = 10


def check(run: Run) -> Finding:
    """Found with the cores that others had."""
    used = usage(run)
    load = run.load
    if load is None or not load.workers or load.duration_s < 0.5:
        return unknown(__name__, KIND, "the measured window gave no result")
    if used is None or used.samples < MIN_SAMPLES:
        return unknown(__name__, KIND, "the host was hardly sampled in the window")
    if outside := unseen(run, used):
        return unknown(__name__, KIND, outside)
    load_cores = sum(worker.cpu_s / worker.wall_s for worker in load.workers if worker.wall_s > 0)
    started = forks(run)
    # Children that lived too shortly to be sampled: their parent's, once it has waited for them.
    children = started.children_cores if started is not None else 0.0
    known = used.server_cores + children + load_cores + used.sampler_cores
    cpus = {*run.manifest.host.server_cpus, *run.manifest.host.load_cpus}
    busy = sum(used.host_busy[cpu] for cpu in cpus if cpu < len(used.host_busy))
    foreign = max(0.0, busy - known)
    slices = _slices(run, cpus, load_cores)
    bursts = [cores for cores in slices if cores > BURST_CORES]
    share = len(bursts) / len(slices) if len(slices) >= MIN_SLICES else 0.0
    rows = [
        Evidence("foreign_cores", foreign, "cores", FOREIGN_FOUND, "samples.jsonl"),
        Evidence("stolen_cores", used.stolen, "cores", STOLEN_FOUND, "samples.jsonl"),
        Evidence("burst_share", share, "ratio", BURST_SHARE, "samples.jsonl"),
        Evidence("known_cores", known, "cores", None, "load.json"),
    ]
    problems = []
    if foreign > FOREIGN_FOUND:
        problems.append(f"other programs used {foreign:.2f} cores during the window")
    elif share > BURST_SHARE:
        problems.append(
            f"other programs used up to {max(bursts):.2f} cores in {share:.0%} of the window, "
            f"{foreign:.2f} on average"
        )
    if used.stolen > STOLEN_FOUND:
        problems.append(f"the hypervisor gave {used.stolen:.2f} cores to other machines")
    if problems:
        return finding(
            __name__, KIND, Verdict.FOUND, "; ".join(problems), rows, _next_step(used.stolen)
        )
    said = f"other programs used {foreign:.2f} cores during the window"
    if foreign > FOREIGN_CLEAR:
        return unknown(__name__, KIND, f"{said}: between the limits", rows)
    return finding(__name__, KIND, Verdict.CLEAR, said, rows)


def _slices(run: Run, cpus: Collection[int], load_cores: float) -> list[float]:
    """Foreign cores of each half second of the window.

    What the load workers used is known for the whole window only; it is shared out by the bytes
    that they moved, because a worker that is kept from running moves none.
    """
    samples = run.samples_in("window")
    ticks = measured_ticks(run)
    sent, received = TickSeries(ticks, "bytes_sent"), TickSeries(ticks, "bytes_received")

    def moved(start: Sample, end: Sample) -> float:
        return sent.at(end.t) - sent.at(start.t) + received.at(end.t) - received.at(start.t)

    everything = moved(samples[0], samples[-1])
    whole_s = samples[-1].t - samples[0].t
    slices: list[float] = []
    before, served_before = samples[0], 0.0
    for sample, served in zip(samples, _server_cpu(samples), strict=True):
        seconds = sample.t - before.t
        # Half a sampling interval early is in time.
        if seconds < SLICE_S - 0.5 / run.manifest.sample_rate_hz:
            continue
        share = moved(before, sample) / everything if everything > 0 else seconds / whole_s
        pairs = zip(before.host.busy_s, sample.host.busy_s, strict=False)
        busy = sum(
            after - start
            for cpu, (start, after) in enumerate(pairs)
            if cpu in cpus and start >= 0 and after >= 0
        )
        own = sample.cpu_s - before.cpu_s + load_cores * whole_s * share
        slices.append((busy - own - (served - served_before)) / seconds)
        before, served_before = sample, served
    return slices


def _server_cpu(samples: Sequence[Sample]) -> list[float]:
    """CPU seconds of the server's tree since the first sample, at each sample.

    What a process had used when it was seen last stays counted after its end.
    """
    last = {process.pid: _used(process) for process in samples[0].processes}
    total = 0.0
    totals = []
    for sample in samples:
        for process in sample.processes:
            used = _used(process)
            total += max(0.0, used - last.get(process.pid, 0.0))
            last[process.pid] = used
        totals.append(total)
    return totals


def _used(process: ProcessSample) -> float:
    """CPU seconds of a process and of its children that have ended."""
    own = process.user_s + process.system_s
    return own + process.children_user_s + process.children_system_s


def _next_step(stolen: float) -> str:
    if stolen > STOLEN_FOUND:
        return (
            "move to a machine with cores of its own, or repeat when the neighbors are quiet "
            "(`vmstat 1`, column st, shows it)"
        )
    return (
        "end what else runs (`top -o %CPU` names it; builds, backups and browsers are usual), and "
        "repeat the same command; or keep it off with --server-cpus and --load-cpus of cores that "
        "it does not use"
    )
