"""The sampler process: `python -m diagnose.sampling.sampler`, configured by one line of JSON.

Each sample is written to the given file when it is taken; a short line on standard output says so.
What costs more than its share of a core is read less often, and the last line says what that was.
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

from diagnose.model.samples import HostSample, ListenerSample, Sample, SocketSample
from diagnose.orphan import die_with_parent
from diagnose.sampling.cpu import parse_fork_count, parse_host
from diagnose.sampling.opened import NOTHING as NOTHING_OPENED
from diagnose.sampling.opened import OpenedReader
from diagnose.sampling.processes import ProcessTable
from diagnose.sampling.procfile import ProcFile
from diagnose.sampling.protocol import MARK, SamplerPlan, SamplerStatus
from diagnose.sampling.rare import NOTHING, RareReader
from diagnose.sampling.schedule import Schedule, fair_s
from diagnose.sampling.sockets import SocketReader

# Shares of one core: what is read in every sample, and the dump of all sockets, at most. A sample
# of one process costs 0.3 ms, of 64 busy ones 2 ms: down to ten a second the smaller share counts,
# because memory may grow by gigabytes between two.
BASE_SHARE = 0.02
BASE_FAIR = 0.0035
BASE_FAIR_S = 0.1
SOCKETS_SHARE = 0.008
SOCKETS_FAIR = 0.001
SOCKETS_S = 0.2
# How things stand is said five times a second, and at once when memory has grown by a fiftieth.
STATUS_S = 0.19
STATUS_GROWTH = 1.02


class Sampler:
    """Reads everything once per `read`: the cheap parts always, the rest when it is due."""

    def __init__(self, plan: SamplerPlan) -> None:
        self._plan = plan
        period = 1 / plan.rate_hz
        self._processes = ProcessTable(plan.root, plan.include_root, period, plan.window_s)
        self._rare = RareReader()
        self._opened = OpenedReader(plan.port, plan.window_s)
        self._sockets: SocketReader | None = None
        with contextlib.suppress(OSError):
            self._sockets = SocketReader(plan.port)
        self._sockets_schedule = Schedule(
            "all sockets", SOCKETS_S, SOCKETS_SHARE, SOCKETS_FAIR, fair_s(plan.window_s)
        )
        self._elsewhere = False
        self._host = ProcFile("/proc/stat")
        self._base = Schedule("samples", period, BASE_SHARE, BASE_FAIR, BASE_FAIR_S)
        self._costly_s = 0.0
        self._cpu_before = time.process_time()

    def read(self) -> Sample:
        """One sample; processes that are gone are named once."""
        now = time.monotonic()
        host = self._host.read()
        processes = self._processes.read(now, parse_fork_count(host))
        self._costly_s = self._processes.costly_s
        rare = NOTHING
        if now >= self._rare.due_at:
            if self._rare.meet(self._processes.pids):
                self._elsewhere = self._rare.in_another_network()
            rare = self._rare.read(now)
            self._costly_s += self._rare.costly_s
        opened = NOTHING_OPENED
        if now >= self._opened.due_at:
            opened = self._opened.read(now, self._processes.pids, self._elsewhere)
            self._costly_s += self._opened.costly_s
        listeners, sockets = self._read_sockets(now)
        busy, steal = parse_host(host)
        return Sample(
            t=now,
            host=HostSample(busy, steal, self._rare.available),
            processes=tuple(processes),
            sockets=sockets,
            gone=tuple(self._processes.gone),
            cpu_s=time.process_time(),
            network=rare.network,
            pressure=rare.pressure,
            cgroup=rare.cgroup,
            forks=self._processes.forks,
            forks_at_least=self._processes.forks_at_least,
            listeners=listeners,
            files=opened.files,
            downstream=opened.downstream,
        )

    def _read_sockets(self, now: float) -> tuple[ListenerSample | None, SocketSample | None]:
        if self._sockets is None or self._elsewhere:
            return None, None
        listeners = sockets = None
        try:
            listeners = self._sockets.read_listeners()
            if self._sockets_schedule.due(now):
                began = time.thread_time()
                sockets = self._sockets.read(listeners)
                cost = time.thread_time() - began
                self._sockets_schedule.done(now, cost)
                self._costly_s += cost
        except (OSError, ValueError):
            # Nothing was learned in this sample; what is still under way would confuse the next.
            self._sockets.restart()
        return listeners, sockets

    def next_in(self, sample: Sample) -> float:
        """Seconds until the next sample: more than asked for when the last ones cost too much."""
        cost = sample.cpu_s - self._cpu_before
        self._cpu_before = sample.cpu_s
        # From one look at the clock to the next lie this sample's readings, and what was written
        # of the one before.
        self._base.done(sample.t, cost - self._costly_s)
        return self._base.interval_s

    def mark(self) -> None:
        """A phase begins: read everything, whatever it cost before."""
        self._sockets_schedule.now()
        self._rare.mark()
        self._opened.mark()
        self._processes.mark()

    def reset_peaks(self) -> None:
        """Peaks count from here on, where the plan allows it."""
        if self._plan.reset_peaks:
            self._processes.reset_peaks(time.monotonic())

    def remarks(self) -> tuple[str, ...]:
        """What was read less often than it should have been, or not at all."""
        found = [self._base.lowered(), self._sockets_schedule.lowered(), *self._rare.lowered()]
        found += self._opened.lowered()
        found += self._processes.lowered()
        said = [str(each) for each in found if each is not None]
        said += self._processes.remarks()
        if self._elsewhere:
            said.append("sockets were not read: the server is in another network namespace")
        return tuple(said)

    def _rate_hz(self) -> float:
        lowered = self._base.lowered()
        return self._plan.rate_hz if lowered is None else lowered.rate_hz

    def status(self, sample: Sample, last: bool = False) -> SamplerStatus:
        """What a sample comes to."""
        processes = sample.processes
        return SamplerStatus(
            t=sample.t,
            processes=len(processes),
            threads=sum([process.thread_count for process in processes]),
            rss=sample.rss,
            held=sample.held,
            available=sample.host.available,
            cpu_s=sum([process.user_s + process.system_s for process in processes]),
            rate_hz=self._rate_hz() if last else 0.0,
            remarks=self.remarks() if last else (),
        )


class _Output:
    """Where samples and lines go."""

    def __init__(self, path: str) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._said_at = 0.0
        self._held = 0

    def sample(self, sample: Sample) -> None:
        """One line in the file."""
        os.write(self._file, self._encode(sample) + b"\n")

    def news(self, sample: Sample) -> bool:
        """It is time to say how things stand; memory that has grown cannot wait."""
        return sample.t >= self._said_at + STATUS_S or sample.held > self._held * STATUS_GROWTH

    def say(self, status: SamplerStatus) -> None:
        """One line on standard output."""
        self._said_at, self._held = status.t, status.held
        os.write(1, self._encode(status) + b"\n")


def main() -> int:
    """Sample until standard input ends."""
    die_with_parent()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=SamplerPlan)
    sampler = Sampler(plan)
    gc.disable()
    out = _Output(plan.path)
    told = select.poll()
    told.register(0, select.POLLIN | select.POLLHUP)
    due = time.monotonic()
    marked = False
    while True:
        if marked:
            # The phase before ends with a sample of everything, the new one begins with its peaks.
            sampler.mark()
        sample = sampler.read()
        if marked:
            sampler.reset_peaks()
        out.sample(sample)
        if out.news(sample):
            out.say(sampler.status(sample))
        due = max(due + sampler.next_in(sample), time.monotonic())
        marked = False
        while not marked and told.poll(max(0.0, due - time.monotonic()) * 1e3):
            line = os.read(0, 4096)
            if not line:
                out.say(sampler.status(sample, last=True))
                return 0
            marked = MARK in line


if __name__ == "__main__":
    sys.exit(main())
