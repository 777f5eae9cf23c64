"""Processes that come and go, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.model.run import Run


@dataclass(frozen=True, slots=True)
class Forks:
    """Processes that the server's tree started in `seconds`.

    exact: every fork was counted; else only those that lived long enough to be seen.
    children_cores: CPU time of children that had ended and were waited for, in cores.
    """

    seconds: float
    count: int
    exact: bool
    children_cores: float


def forks(run: Run, phase: str = "window") -> Forks | None:
    """What was started during a phase; None where it could not be counted."""
    samples = [sample for sample in run.samples_in(phase) if sample.forks >= 0]
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    seconds = last.t - first.t
    if seconds <= 0:
        return None
    before = {
        process.pid: process.children_user_s + process.children_system_s
        for process in first.processes
    }
    # Of those alive at the end: what an ended process had waited for is in its parent's figure.
    grown = sum(
        max(0.0, process.children_user_s + process.children_system_s - before.get(process.pid, 0.0))
        for process in last.processes
    )
    return Forks(
        seconds=seconds,
        count=last.forks - first.forks,
        exact=not any(sample.forks_at_least for sample in samples),
        children_cores=grown / seconds,
    )


def process_cores(run: Run, phase: str = "window") -> dict[int, float]:
    """Cores that each process used in a phase, threads included that lived too shortly to be seen;
    by process. Those that were there at its end."""
    samples = run.samples_in(phase)
    if len(samples) < 2 or samples[-1].t <= samples[0].t:
        return {}
    seconds = samples[-1].t - samples[0].t
    before = {process.pid: process.user_s + process.system_s for process in samples[0].processes}
    return {
        process.pid: max(0.0, process.user_s + process.system_s - before.get(process.pid, 0.0))
        / seconds
        for process in samples[-1].processes
    }
