"""The sampler process: `python -m diagnose.sampling.sampler`, configured by one line of JSON.

Each sample is written to the given file when it is taken; a short line on standard output says so.
What costs more than its share of a core is read less often: the base set at the given rate,
threads and sockets so that each takes at most one percent of a core.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import sys
import time

import msgspec

from diagnose.model.samples import (
    HostSample,
    ListenerSample,
    NetworkSample,
    ProcessSample,
    Sample,
    SocketSample,
)
from diagnose.orphan import die_with_parent
from diagnose.process_tree import descendants
from diagnose.sampling.cpu import parse_fork_count, parse_host
from diagnose.sampling.forks import ForkListener
from diagnose.sampling.memory import parse_available
from diagnose.sampling.network import NetworkReader
from diagnose.sampling.process import ProcessReader
from diagnose.sampling.procfile import ProcFile
from diagnose.sampling.sockets import SocketReader

COST_SHARE = 0.01
TREE_S = 0.25
DETAILS_S = 0.5
SOCKETS_S = 0.2
NETWORK_S = 0.2


class SamplerPlan(msgspec.Struct, frozen=True):
    """root: the process whose descendants are sampled; include_root: itself as well."""

    root: int
    include_root: bool
    port: int
    path: str
    rate_hz: float


class SamplerStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What each sample comes to: for the live display and the memory guard."""

    t: float
    processes: int
    threads: int
    rss: int
    held: int
    available: int
    cpu_s: float


class Schedule:
    """Something costly, at most every `every_s`, and less often when it costs too much."""

    def __init__(self, every_s: float) -> None:
        self._every = every_s
        self._due = 0.0

    def due(self, now: float) -> bool:
        """It may be done now."""
        return now >= self._due

    def done(self, now: float, cost_s: float) -> None:
        """It was done, at that cost."""
        self._due = now + max(self._every, cost_s / COST_SHARE) - 0.001


class Sampler:
    """Reads everything once per `read`."""

    def __init__(self, plan: SamplerPlan) -> None:
        self._plan = plan
        self._readers: dict[int, ProcessReader] = {}
        self._sockets: SocketReader | None = None
        with contextlib.suppress(OSError):
            self._sockets = SocketReader(plan.port)
        self._host = ProcFile("/proc/stat", 1 << 20)
        self._memory = ProcFile("/proc/meminfo")
        self._network: NetworkReader | None = None
        self._forks: ForkListener | None = None
        with contextlib.suppress(OSError):
            self._forks = ForkListener([plan.root])
        self._born = 0
        self._threads_started = -1
        self._tree_schedule = Schedule(TREE_S)
        self._thread_schedule = Schedule(1 / plan.rate_hz)
        self._details_schedule = Schedule(DETAILS_S)
        self._socket_schedule = Schedule(SOCKETS_S)
        self._network_schedule = Schedule(NETWORK_S)

    def read(self) -> Sample:
        """One sample; processes that are gone are named once."""
        # Costs are CPU time: on a busy host a read may take long without costing anything.
        clock = time.thread_time
        now = time.monotonic()
        host = self._host.read()
        started = parse_fork_count(host)
        gone: list[int] = []
        if self._forks is not None:
            self._forks.read()
        if self._tree_schedule.due(now):
            began = clock()
            self._find()
            self._tree_schedule.done(now, clock() - began)
        threads = self._thread_schedule.due(now)
        details = threads and self._details_schedule.due(now)
        forked = started < 0 or started != self._threads_started
        began = clock()
        processes: list[ProcessSample] = []
        for pid, reader in list(self._readers.items()):
            try:
                processes.append(reader.read(threads, details, forked))
            except (OSError, ValueError):
                gone.append(pid)
                self._readers.pop(pid).close()
        if threads:
            self._threads_started = started
            self._thread_schedule.done(now, clock() - began)
        if details:
            self._details_schedule.done(now, clock() - began)
        listeners, sockets = self._read_sockets(now)
        busy, steal = parse_host(host)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return Sample(
            t=now,
            host=HostSample(busy, steal, parse_available(self._memory.read())),
            processes=tuple(processes),
            sockets=sockets,
            gone=tuple(gone),
            cpu_s=usage.ru_utime + usage.ru_stime,
            network=self._read_network(now),
            forks=self._born if self._forks is None else self._forks.count,
            forks_at_least=self._forks is None or self._forks.lost,
            listeners=listeners,
        )

    def _read_sockets(self, now: float) -> tuple[ListenerSample | None, SocketSample | None]:
        if self._sockets is None:
            return None, None
        listeners = sockets = None
        with contextlib.suppress(OSError, ValueError):
            listeners = self._sockets.read_listeners()
            if self._socket_schedule.due(now):
                began = time.thread_time()
                sockets = self._sockets.read(listeners)
                self._socket_schedule.done(now, time.thread_time() - began)
        return listeners, sockets

    def _read_network(self, now: float) -> NetworkSample | None:
        """The counters of the namespace of the first process that could be found."""
        if not self._network_schedule.due(now):
            return None
        for pid in self._readers if self._network is None else ():
            with contextlib.suppress(OSError):
                self._network = NetworkReader(pid)
                break
        if self._network is None:
            return None
        network = None
        began = time.thread_time()
        with contextlib.suppress(OSError, ValueError):
            network = self._network.read()
        self._network_schedule.done(now, time.thread_time() - began)
        return network

    def _find(self) -> None:
        pids = descendants(self._plan.root)
        if self._forks is not None:
            self._forks.settle([self._plan.root, *pids, *self._readers])
        if self._plan.include_root:
            pids.append(self._plan.root)
        first = not self._readers
        for pid in pids:
            if pid not in self._readers:
                with contextlib.suppress(OSError):
                    self._readers[pid] = ProcessReader(pid)
                    self._born += not first


def _status(sample: Sample) -> SamplerStatus:
    return SamplerStatus(
        t=sample.t,
        processes=len(sample.processes),
        threads=sum(process.thread_count for process in sample.processes),
        rss=sample.rss,
        held=sample.held,
        available=sample.host.available,
        cpu_s=sum(process.user_s + process.system_s for process in sample.processes),
    )


def main() -> int:
    """Sample until standard input ends."""
    die_with_parent()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=SamplerPlan)
    sampler = Sampler(plan)
    gc.disable()
    encoder = msgspec.json.Encoder()
    out = os.open(plan.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    period = 1 / plan.rate_hz
    due = time.monotonic()
    while True:
        sample = sampler.read()
        os.write(out, encoder.encode(sample) + b"\n")
        os.write(1, encoder.encode(_status(sample)) + b"\n")
        due = max(due + period, time.monotonic())
        ready, _, _ = select.select([0], [], [], max(0.0, due - time.monotonic()))
        if ready and not os.read(0, 4096):
            return 0


if __name__ == "__main__":
    sys.exit(main())
