"""What threads waited for, and how often they gave up their core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from diagnose.model.run import Run
from diagnose.model.samples import ThreadSample


@dataclass(frozen=True, slots=True)
class ThreadWaits:
    """One thread's waiting. channels: for each kernel function the share of the looks at the
    sleeping thread that found it there; asleep: how many such looks there were."""

    pid: int
    tid: int
    process: str
    name: str
    asleep: int
    channels: Mapping[str, float]

    def share(self, *words: str) -> float:
        """The share of its sleep in channels that contain one of the words, 0.0 to 1.0."""
        return sum(
            share
            for channel, share in self.channels.items()
            if any(word in channel for word in words)
        )


def wait_channels(run: Run, phase: str = "window") -> tuple[ThreadWaits, ...]:
    """Where the threads slept, those seen asleep most often first.

    Empty where no wait channel was read: too short a phase, or another user's process.
    """
    seen: dict[tuple[int, int], tuple[str, str, Counter[str]]] = {}
    for sample in run.samples_in(phase):
        for process in sample.processes:
            for thread in process.threads:
                if thread.wait_channel:
                    key = (process.pid, thread.tid)
                    counts = seen[key][2] if key in seen else Counter[str]()
                    counts[thread.wait_channel] += 1
                    seen[key] = (process.name, thread.name, counts)
    rows = []
    for (pid, tid), (process_name, name, counts) in seen.items():
        asleep = counts.total()
        shares = {channel: count / asleep for channel, count in counts.most_common()}
        rows.append(ThreadWaits(pid, tid, process_name, name, asleep, shares))
    return tuple(sorted(rows, key=lambda row: -row.asleep))


@dataclass(frozen=True, slots=True)
class ThreadSwitches:
    """Context switches of one thread per second. Voluntary: it had to wait for something;
    involuntary: its core was given to another."""

    pid: int
    tid: int
    name: str
    voluntary: float
    involuntary: float


def switches(run: Run, phase: str = "window") -> tuple[ThreadSwitches, ...]:
    """Per thread that was read twice in the phase, the most voluntary switches first."""
    seen: dict[tuple[int, int], tuple[float, ThreadSample, float, ThreadSample]] = {}
    for sample in run.samples_in(phase):
        for process in sample.processes:
            for thread in process.threads:
                if thread.voluntary_switches < 0:
                    continue
                key = (process.pid, thread.tid)
                began, first = seen[key][:2] if key in seen else (sample.t, thread)
                if thread.voluntary_switches < first.voluntary_switches:
                    # The number was given to another thread.
                    began, first = sample.t, thread
                seen[key] = (began, first, sample.t, thread)
    rows = [
        ThreadSwitches(
            pid,
            tid,
            last.name,
            (last.voluntary_switches - first.voluntary_switches) / (ended - began),
            (last.involuntary_switches - first.involuntary_switches) / (ended - began),
        )
        for (pid, tid), (began, first, ended, last) in seen.items()
        if ended > began
    ]
    return tuple(sorted(rows, key=lambda row: -row.voluntary))
