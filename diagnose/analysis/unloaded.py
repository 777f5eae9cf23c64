"""What the server's processes do when nothing is asked of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diagnose.model.run import Run
from diagnose.model.samples import Sample

# Compilers and collectors at work on what came before; names as the kernel keeps them.
HELPERS = re.compile(
    r"^(C[12] Compiler|.*CompilerThre|GC Thread|G1 |VM Thread|Shenandoah|ZWorker|ZDriver|V8Worker|"
    r"\.NET (Tiered|BGC|Server GC|Finalizer)|DefaultTieredCom|Sweeper|Monitor Deflati)"
)
# The part of a phase that is looked at: what comes before it, a start or a load's end, decays.
IDLE_TAIL_S = 0.6
COOLDOWN_TAIL_S = 1.0
MIN_SAMPLES = 4


@dataclass(frozen=True, slots=True)
class Quiet:
    """Without load, in cores. cores: CPU time of the whole tree. threads: by process and number,
    how busy each was that is no helper of a runtime (running or waiting for a core), and its name.
    """

    cores: float
    threads: Mapping[tuple[int, int], tuple[float, str]]

    @property
    def top(self) -> float:
        """The busiest thread's share."""
        return max((busy for busy, _ in self.threads.values()), default=0.0)

    def busy(self, key: tuple[int, int]) -> float:
        """A thread's share; 0 for one that was not there."""
        return self.threads[key][0] if key in self.threads else 0.0


def quiet(run: Run, phase: str, tail_s: float) -> Quiet | None:
    """The end of a phase without load; None with too few samples."""
    span = run.phase(phase)
    samples = run.samples_in(phase)
    if span is None or not samples:
        return None
    end = samples[-1].t
    rows = [sample for sample in samples if sample.t >= end - tail_s]
    if len(rows) < MIN_SAMPLES:
        return None
    threads = {
        key: (busy, name) for key, (busy, name) in _threads(rows).items() if not HELPERS.match(name)
    }
    return Quiet(_cores(rows), threads)


def _cores(rows: Sequence[Sample]) -> float:
    """Each process over the time for which it was seen: one that came late spins all the same."""
    first: dict[int, tuple[float, float]] = {}
    cores: dict[int, float] = {}
    for sample in rows:
        for process in sample.processes:
            used = process.user_s + process.system_s
            began, before = first.setdefault(process.pid, (sample.t, used))
            if sample.t > began:
                cores[process.pid] = max(0.0, used - before) / (sample.t - began)
    return sum(cores.values())


def _threads(rows: Sequence[Sample]) -> dict[tuple[int, int], tuple[float, str]]:
    """Each thread's busy share between the first and the last time it was read."""
    first: dict[tuple[int, int], tuple[float, float]] = {}
    found: dict[tuple[int, int], tuple[float, str]] = {}
    for sample in rows:
        for process in sample.processes:
            for thread in process.threads:
                key, used = (process.pid, thread.tid), thread.run_s + thread.wait_s
                began, before = first.setdefault(key, (sample.t, used))
                if sample.t > began:
                    found[key] = ((used - before) / (sample.t - began), thread.name)
    return found
