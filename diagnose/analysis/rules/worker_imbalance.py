"""One worker process has most of the work while its siblings idle.

Worker processes share a listening socket, or have one each, and what each gets is what it accepts.
Found when the busiest of several sibling processes (same parent and name, like memory) was at its
limit and had 1.5 times the mean of all, by CPU time and by busy time, with connections enough to go
round, and cores idle. Clear when all have about the same, or none is at its limit: the rest is then
not needed. The connections that each holds are told by its descriptors. Threads of one process are
not judged: which of them runs is often of no meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import ThreadUse, Usage, usage
from diagnose.analysis.room import ROOM_FOUND, left_over
from diagnose.analysis.serving import serving
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.model.samples import ProcessSample

KIND = Kind.CAUSE
NEEDS = ("client_saturated", "samples_missed", "connections_missing")
EXPLAINS = ("low_cpu", "unfair", "slow_tail")

# Two of three workers idle come to 3, one of two to 2; 64 connections that fall on two workers by
# chance come to 1.2 at the most (three deviations).
UNEVEN_FOUND = 1.5
UNEVEN_CLEAR = 1.25
# A worker that has more than it can do; below this the others are simply not needed.
AT_LIMIT = 0.85
# Chance alone leaves some workers without any when there are few connections for each.
CONNECTIONS_EACH = 8
# As for single_threaded: half of the memory of the busy one makes a worker like it.
SIBLING_MEMORY = 0.5


@dataclass(frozen=True, slots=True)
class _Worker:
    pid: int
    running: float
    busy: float


def check(run: Run) -> Finding:
    """Found with the share of the busiest worker and its connections."""
    left = left_over(run, __name__, KIND)
    if isinstance(left, Finding):
        return left
    used = usage(run)
    samples = run.samples_in("window")
    if used is None or not samples:
        return unknown(__name__, KIND, "the server was hardly sampled in the window")
    group = _workers(used, samples[-1].processes)
    if len(group) < 2:
        return finding(__name__, KIND, Verdict.CLEAR, "no two worker processes are alike")
    top = max(group, key=lambda worker: worker.busy)
    uneven = min(
        _to_mean([worker.running for worker in group], top.running),
        _to_mean([worker.busy for worker in group], top.busy),
    )
    each = run.manifest.connections / len(group)
    rows = [
        Evidence("busiest_to_mean", uneven, "ratio", UNEVEN_FOUND, "samples.jsonl"),
        Evidence("busiest_busy", top.busy, "cores", AT_LIMIT, "samples.jsonl"),
        Evidence("workers", len(group), "processes", 2, "samples.jsonl"),
        Evidence("connections_each", each, "connections", CONNECTIONS_EACH, "run.json"),
    ]
    held = serving(run).accepted
    mine = held.get(top.pid)
    if mine is not None and any(held.values()):
        others = sum(held.get(worker.pid, 0) for worker in group) - mine
        rows.append(Evidence("busiest_connections", mine, "connections", None, "samples.jsonl"))
        rows.append(Evidence("others_connections", others, "connections", None, "samples.jsonl"))
    said = (
        f"the busiest of {len(group)} workers (PID {top.pid}) was busy {top.busy:.0%} of the time, "
        f"{uneven:.1f} times the mean of all"
    )
    if uneven <= UNEVEN_CLEAR:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    if top.busy < AT_LIMIT:
        claim = f"{said}: none is at its limit"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    if each < CONNECTIONS_EACH:
        why = f"{said}, but {each:.1f} connections for each may fall so by chance; take more (-c)"
        return unknown(__name__, KIND, why, rows)
    if uneven < UNEVEN_FOUND or left.share < ROOM_FOUND:
        return unknown(__name__, KIND, f"{said}: between the limits", rows)
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{said}, while {left.unwanted:.1f} of {left.cores:g} cores were idle",
        rows,
        "let the kernel spread connections (SO_REUSEPORT: a listening socket for each worker), or "
        "hand them out in turn; `diagnose findings worker_imbalance` names the settings",
        explains=left.share,
    )


def _workers(used: Usage, processes: tuple[ProcessSample, ...]) -> list[_Worker]:
    """The largest family of processes like the busiest one: parent, name, memory."""
    by_pid: dict[int, list[ThreadUse]] = {}
    for thread in used.threads:
        by_pid.setdefault(thread.pid, []).append(thread)
    alive = {process.pid: process for process in processes if process.pid in by_pid}
    workers = {
        pid: _Worker(
            pid,
            sum(thread.running for thread in by_pid[pid]),
            sum(thread.busy for thread in by_pid[pid]),
        )
        for pid in alive
    }
    if not workers:
        return []
    busiest = alive[max(workers, key=lambda pid: workers[pid].busy)]
    return [
        workers[pid]
        for pid, process in alive.items()
        if process.parent == busiest.parent
        and process.name == busiest.name
        and process.rss >= SIBLING_MEMORY * busiest.rss
    ]


def _to_mean(values: list[float], top: float) -> float:
    mean = sum(values) / len(values)
    return top / mean if mean > 0 else 1.0
