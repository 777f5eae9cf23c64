"""What a response costs: CPU time, how much of it in the kernel, and system calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diagnose.model.run import Run
from diagnose.model.samples import ProcessSample, Sample


def kernel_share(run: Run, phase: str = "window") -> float | None:
    """The share of the server's CPU time that is spent in the kernel; None where it used none."""
    samples = run.samples_in(phase)
    if len(samples) < 2:
        return None
    user = sum(_used(samples, lambda process: process.user_s).values())
    system = sum(_used(samples, lambda process: process.system_s).values())
    return system / (user + system) if user + system > 0 else None


def _used(samples: Sequence[Sample], figure: Callable[[ProcessSample], float]) -> dict[int, float]:
    """By how much a counter of each process grew between its first and its last sample."""
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    for sample in samples:
        for process in sample.processes:
            value = figure(process)
            first.setdefault(process.pid, value)
            last[process.pid] = value
    return {pid: max(0.0, last[pid] - first[pid]) for pid in last}


def cpu_seconds(run: Run, phase: str) -> dict[int, float]:
    """CPU seconds of each process over a phase."""
    return _used(run.samples_in(phase), lambda process: process.user_s + process.system_s)


READS = ("read", "readv", "recvfrom", "recvmsg")
WRITES = ("write", "writev", "sendto", "sendmsg", "sendfile64")


@dataclass(frozen=True, slots=True)
class Calls:
    """System calls of the profiled processes, of `seconds`. responses: what these processes
    answered meanwhile, by their share of the tree's CPU time; body_bytes: the same of request
    bodies. named: counts by name."""

    responses: float
    body_bytes: float
    all: int
    named: dict[str, int]

    def of(self, names: Sequence[str]) -> int:
        """All calls of these names."""
        return sum(self.named.get(name, 0) for name in names)

    @property
    def per_response(self) -> float:
        """Calls for each response."""
        return self.all / self.responses if self.responses > 0 else 0.0


def calls(run: Run) -> Calls | None:
    """The system calls that were counted in the profiled load; None where none were."""
    counted, rps = run.manifest.system_calls, run.manifest.profiled_rps
    if not counted or not rps or run.load is None:
        return None
    used = cpu_seconds(run, "profile")
    every = sum(used.values())
    share = sum(used.get(one.pid, 0.0) for one in counted) / every if every > 0 else 0.0
    if share <= 0:
        return None
    named: dict[str, int] = {}
    for one in counted:
        for name, count in one.counts.items():
            named[name] = named.get(name, 0) + count
    responses = rps * counted[0].seconds * share
    each = run.load.body_answered / run.load.responses if run.load.responses else 0.0
    return Calls(responses, responses * each, named.pop("all", sum(named.values())), named)
