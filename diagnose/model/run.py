"""One run: everything that was asked for, seen and measured, as the run directory holds it."""

from __future__ import annotations

from dataclasses import dataclass, field

from diagnose.model.load import LoadResult, LoadTick
from diagnose.model.profile import Profile, ProfileNote, SystemCalls
from diagnose.model.samples import Sample
from diagnose.model.scenario import Scenario

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """A phase with its times (monotonic seconds); ended is None while it lasts."""

    name: str
    started: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The machine. cpu_mode: `split` (server and load apart) or `shared`."""

    cpus: tuple[int, ...]
    server_cpus: tuple[int, ...]
    load_cpus: tuple[int, ...]
    cpu_mode: str
    cpu_model: str
    memory_bytes: int
    available_bytes: int
    kernel: str
    python: str
    somaxconn: int
    descriptor_limit: int


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """How a process of the server was started: its executable, its arguments, and of its
    environment the variables that choose a debug or a development mode (no others are kept)."""

    pid: int
    executable: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Launch:
    """The server: how it was started or found. command is empty when it was attached to.

    descriptor_limits: RLIMIT_NOFILE (soft) of its processes, once it was ready; those that could
    not be read are missing. processes: how they were started, alike ones once.
    """

    command: tuple[str, ...]
    name: str
    pid: int
    host: str
    port: int
    attached: bool = False
    ready_after_s: float = 0.0
    runtimes: dict[int, str] = field(default_factory=dict)
    descriptor_limits: dict[int, int] = field(default_factory=dict)
    processes: tuple[ProcessFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerEnd:
    """How the server ended. status: exit status, negative for a signal; None while it ran on.

    when: the phase in which its first process ended, '' when we stopped it ourselves.
    """

    status: int | None = None
    when: str = ""
    t: float = 0.0
    log_tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogExcerpt:
    """Lines of the server's output, shortened: the first ones, up to the load, and the last ones
    that were there when the measured load had ended."""

    head: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coding:
    """How the body of an answer was compressed: `name` as in Content-Encoding.

    lowest, highest: levels of the usual encoder (zlib, brotli) whose output is as long within
    0.5 %; -1 where that was not tried. exact: it is the same byte by byte. mark: what the head of
    a gzip body says of its level (XFL): `best`, `fastest` or ''. Source: RFC 1952, 2.3.1.
    seconds: CPU time of one such compression on this machine at the lowest of these levels;
    quick_*: at a quick level (zlib 1, brotli 3).
    """

    name: str
    bytes: int
    plain_bytes: int
    lowest: int = -1
    highest: int = -1
    exact: bool = False
    mark: str = ""
    seconds: float = 0.0
    quick_bytes: int = 0
    quick_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ProbeCheck:
    """One request on an unloaded server. outcome: `pass`, `fail` (a wrong answer) or `error`.

    A form of a request that the scenario does not send, or a way of sending it, can also come to
    `differs`: its answer is not that of the request as it is, which may be no fault.
    closes: the server closed, or announced that it closes, the connection after the answer.
    status: of the answer, 0 without one. times_s: of each repetition, or of each size; see `name`.
    coding: of a body that came compressed and could be decoded.
    """

    name: str
    template: str
    outcome: str
    detail: str
    latency_s: float = 0.0
    request: str = ""
    response: str = ""
    closes: bool = False
    status: int = 0
    times_s: tuple[float, ...] = ()
    coding: Coding | None = None


@dataclass(frozen=True, slots=True)
class MemoryGuard:
    """The limit on the server's memory, and whether it was passed (then the server was stopped)."""

    limit_bytes: int
    tripped: bool = False
    at_bytes: int = 0
    t: float = 0.0


@dataclass(frozen=True, slots=True)
class Manifest:
    """`run.json`: all that is known before the samples are read.

    state: `running`, `complete`, `interrupted`, `failed`; a run that was killed stays `running`.
    invocation: the arguments that diagnose was called with, where it was called by command line.
    sample_rate_hz: that of the samples, or the mean one where they cost too much. sampling: what
    was read less often than it should have been, or not at all, and why.
    """

    schema: int
    version: str
    created: str
    state: str
    scenario: Scenario
    connections: int
    host: HostFacts
    launch: Launch
    phases: tuple[PhaseSpan, ...] = ()
    probes: tuple[ProbeCheck, ...] = ()
    end: ServerEnd = field(default_factory=ServerEnd)
    guard: MemoryGuard = field(default_factory=lambda: MemoryGuard(0))
    profiles: tuple[ProfileNote, ...] = ()
    profiled_rps: float | None = None
    sample_rate_hz: float = 20.0
    notes: tuple[str, ...] = ()
    invocation: tuple[str, ...] = ()
    sampling: tuple[str, ...] = ()
    log: LogExcerpt = field(default_factory=LogExcerpt)
    system_calls: tuple[SystemCalls, ...] = ()
    waits: tuple[ProfileNote, ...] = ()
    memory_profiles: tuple[ProfileNote, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A run as analysis sees it. load is None when the measured window gave no result.

    profiles: of running threads. waits: of sleeping ones, and who had the interpreter's lock.
    memory_profiles: of a second launch, in bytes.
    """

    directory: str
    manifest: Manifest
    samples: tuple[Sample, ...]
    ticks: tuple[LoadTick, ...]
    load: LoadResult | None
    profiles: tuple[Profile, ...] = ()
    waits: tuple[Profile, ...] = ()
    memory_profiles: tuple[Profile, ...] = ()

    def phase(self, name: str) -> PhaseSpan | None:
        """The phase of that name, or None if the run did not get there."""
        for span in self.manifest.phases:
            if span.name == name:
                return span
        return None

    def samples_in(self, name: str) -> tuple[Sample, ...]:
        """The samples taken during a phase, oldest first."""
        span = self.phase(name)
        if span is None:
            return ()
        end = float("inf") if span.ended is None else span.ended
        return tuple(sample for sample in self.samples if span.started <= sample.t <= end)
