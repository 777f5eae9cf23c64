"""Runs made of numbers: small builders whose defaults are a healthy server on a split machine.

No clock is read: a run takes place on a time line of its own (`WINDOW` is the measured window),
threads are shares of a core, memory and queues are curves over that time. What a test is about is
passed in; everything else is healthy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import (
    FailureExample,
    Latency,
    LoadResult,
    LoadTick,
    Spread,
    TemplateResult,
    WorkerCost,
)
from diagnose.model.profile import Profile, ProfileNote
from diagnose.model.run import (
    SCHEMA,
    HostFacts,
    Launch,
    Manifest,
    MemoryGuard,
    PhaseSpan,
    ProbeCheck,
    Run,
    ServerEnd,
)
from diagnose.model.samples import (
    CgroupSample,
    HostSample,
    ListenerSample,
    NetworkSample,
    ProcessSample,
    Sample,
    SocketSample,
    ThreadSample,
)
from diagnose.model.scenario import Expectation, RequestTemplate, Scenario

MIB = 2**20
GIB = 2**30
BODY = 20 * MIB

Curve = Callable[[float], float]

# The time line of a default run: seconds on a clock that starts anywhere.
LAUNCH = 100.0
IDLE = 101.0
PROBE = 102.0
CONNECT = 102.5
WAVE = 102.75
WARMUP = 103.0
WINDOW = 104.0
DRAIN = 109.0
COOLDOWN = 109.5
END = 111.0
WINDOW_S = DRAIN - WINDOW
RATE_HZ = 20.0
SERVER_PID = 4242


def flat(value: float) -> Curve:
    """The same value at all times."""
    return lambda _: value


NONE = flat(0)
HALF = flat(0.5)
SOME_DESCRIPTORS = flat(70)
PLAIN_MEMORY = flat(64 * MIB)
PLAIN_FILES = flat(8 * MIB)


def ramp(*points: tuple[float, float]) -> Curve:
    """Straight lines between (time, value) points; the ends reach on."""

    def at(t: float) -> float:
        if t <= points[0][0]:
            return points[0][1]
        for (t0, v0), (t1, v1) in pairwise(points):
            if t <= t1:
                return v0 + (v1 - v0) * (t - t0) / (t1 - t0)
        return points[-1][1]

    return at


def under_load(before: float, peak: float, after: float | None = None) -> Curve:
    """Flat until the load starts, at its peak by the middle of the window, then `after`."""
    end = peak if after is None else after
    return ramp((WARMUP, before), (WINDOW + WINDOW_S / 2, peak), (DRAIN, peak), (COOLDOWN, end))


# -- samples -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread by the share of a core that it runs and that it waits for one, from the probes to
    the end of the load; unasked: the share that it runs before and after.

    channel, rest: the kernel function that it sleeps in under load and without it; switches: by its
    own will, per second under load.
    """

    tid: int
    running: float = 0.0
    waiting: float = 0.0
    name: str = "worker"
    born: float = LAUNCH
    died: float = math.inf
    channel: str = ""
    rest: str = ""
    switches: float = 0.0
    unasked: float = 0.0

    def sample(self, t: float) -> ThreadSample:
        """The counters at time t: none before birth, no more after death."""
        lived = max(0.0, min(t, self.died) - self.born)
        asked = max(0.0, min(t, self.died, COOLDOWN) - max(self.born, PROBE))
        run_s = self.running * asked + self.unasked * (lived - asked)
        wait_s = self.waiting * asked
        loaded = max(0.0, min(t, DRAIN) - WARMUP)
        return ThreadSample(
            self.tid, self.name, "S", 0, run_s * 0.75, run_s * 0.25, run_s, wait_s,
            int(self.switches * loaded), 0, self.channel if WARMUP <= t <= DRAIN else self.rest,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Process:
    """A process with its threads; unseen: cores used by threads that ended between samples."""

    pid: int = SERVER_PID
    threads: tuple[Thread, ...] = ()
    name: str = "server"
    anonymous: Curve = PLAIN_MEMORY
    shared: Curve = NONE
    file: Curve = PLAIN_FILES
    unseen: float = 0.0
    born: float = LAUNCH
    died: float = math.inf
    parent: int = 1
    descriptors: Curve = SOME_DESCRIPTORS

    def sample(self, t: float, detailed: bool = True) -> ProcessSample:
        """The process at time t; `detailed` reads its threads too."""
        threads = [(thread, thread.sample(t)) for thread in self.threads]
        alive = [sample for thread, sample in threads if thread.born <= t < thread.died]
        cpu = sum(sample.run_s for _, sample in threads)
        cpu += self.unseen * max(0.0, min(t, COOLDOWN) - max(self.born, PROBE))
        parts = [int(curve(t)) for curve in (self.anonymous, self.file, self.shared)]
        return ProcessSample(
            pid=self.pid,
            parent=self.parent,
            name=self.name,
            user_s=cpu * 0.75,
            system_s=cpu * 0.25,
            rss=sum(parts),
            anonymous=parts[0],
            file=parts[1],
            shared=parts[2],
            peak=sum(parts),
            thread_count=len(alive),
            descriptors=int(self.descriptors(t)),
            read_bytes=0,
            written_bytes=0,
            disk_read=0,
            disk_written=0,
            minor_faults=0,
            major_faults=0,
            threads=tuple(alive) if detailed else (),
        )


@dataclass(frozen=True, slots=True)
class Sockets:
    """The queues of the server's port over time."""

    established: int = 64
    unread_sockets: Curve = HALF
    unread_bytes: Curve = NONE
    client_unsent_bytes: Curve = NONE

    def sample(self, t: float) -> SocketSample:
        """The sockets at time t."""
        return SocketSample(
            self.established,
            round(self.unread_sockets(t)),
            int(self.unread_bytes(t)),
            0,
            int(self.client_unsent_bytes(t)),
            0,
            511,
        )


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the kernel counts beside the processes. Counters are cumulative curves.

    quota: cores, -1 for none; throttled: the share of periods in which the server was stopped.
    """

    quota: float = -1.0
    throttled: float = 0.0
    overflows: Curve = NONE
    delayed_acks: Curve = NONE
    accept_queue: Curve = NONE
    backlog: int = 511

    def cgroup(self, t: float) -> CgroupSample:
        """The control group at time t: ten periods a second."""
        periods = int(10 * (t - LAUNCH))
        stopped = int(self.throttled * periods)
        return CgroupSample(self.quota, periods, stopped, stopped * 0.05, -1, -1, -1, 0)

    def network(self, t: float) -> NetworkSample:
        """The TCP counters at time t."""
        overflows = int(self.overflows(t))
        return NetworkSample(overflows, overflows, 0, int(self.delayed_acks(t)), 0, 0, 0)

    def listeners(self, t: float) -> ListenerSample:
        """The listening socket at time t."""
        queue = int(self.accept_queue(t))
        return ListenerSample(queue, self.backlog, 1, queue)


def connections_over(processes: int, total: float = 64, idle: float = 6) -> Curve:
    """Descriptors of one of several processes that share the connections evenly."""
    return ramp((CONNECT, idle), (CONNECT + 0.1, idle + total / processes))


def times(start: float, end: float, rate_hz: float = RATE_HZ) -> Iterator[float]:
    """Moments at a rate, from start up to and without end."""
    return (start + step / rate_hz for step in range(math.ceil((end - start) * rate_hz - 1e-9)))


def two_workers(busy: float = 0.95) -> tuple[Process, ...]:
    """A supervisor and two processes with one thread each: what a healthy server looks like."""
    return (
        Process(SERVER_PID, (Thread(SERVER_PID, 0.0, name="supervisor"),)),
        Process(5001, (Thread(5001, busy),), parent=SERVER_PID),
        Process(5002, (Thread(5002, busy),), parent=SERVER_PID),
    )


def one_thread(busy: float = 0.97, waiting: float = 0.0, rest: float = 0.0) -> tuple[Process, ...]:
    """One thread at work; `rest` is shared by three others of its process."""
    others = tuple(Thread(SERVER_PID + 1 + n, rest / 3, name=f"pool-{n}") for n in range(3))
    return (Process(SERVER_PID, (Thread(SERVER_PID, busy, waiting, name="main"), *others)),)


def make_samples(
    processes: Sequence[Process] | None = None,
    *,
    host_busy: Sequence[float] = (0.97, 0.97, 0.16, 0.16),
    steal: float = 0.0,
    sockets: Sockets | None = Sockets(),
    kernel: Kernel | None = Kernel(),
    start: float = IDLE,
    end: float = END,
    rate_hz: float = RATE_HZ,
    threads_every: int = 1,
    sampler_cores: float = 0.01,
) -> tuple[Sample, ...]:
    """Samples of processes at a rate. host_busy: share of each core; steal: stolen cores in all.

    threads_every: every n-th sample has thread details.
    """
    tree = two_workers() if processes is None else processes
    rows: list[Sample] = []
    alive: set[int] = set()
    for number, t in enumerate(times(start, end, rate_hz)):
        living = [process for process in tree if process.born <= t < process.died]
        now = {process.pid for process in living}
        since = t - LAUNCH
        rows.append(
            Sample(
                t=t,
                host=HostSample(
                    tuple(1e4 + share * since for share in host_busy), steal * since, 0
                ),
                processes=tuple(
                    process.sample(t, number % threads_every == 0) for process in living
                ),
                sockets=sockets.sample(t) if sockets else None,
                gone=tuple(sorted(alive - now)),
                cpu_s=sampler_cores * since,
                network=kernel.network(t) if kernel else None,
                cgroup=kernel.cgroup(t) if kernel else None,
                listeners=kernel.listeners(t) if kernel else None,
            )
        )
        alive = now
    return tuple(rows)


# -- load ----------------------------------------------------------------------------------------


def phase_at(t: float) -> str:
    """The load phase at a moment of the default time line."""
    names = ((WARMUP, "wave"), (WINDOW, "warmup"), (DRAIN, "window"), (math.inf, "drain"))
    return next(name for end, name in names if t < end)


def make_ticks(
    *,
    workers: int = 1,
    rps: float = 1000.0,
    established: int = 64,
    in_flight: float = 64.0,
    body_in_flight: Curve = NONE,
    failures_per_s: float = 0.0,
    start: float = WARMUP,
    end: float = COOLDOWN,
    rate_hz: float = RATE_HZ,
) -> tuple[LoadTick, ...]:
    """Ticks of all workers in the order of time; figures are totals, shared out evenly."""
    return tuple(
        LoadTick(
            t=t,
            worker=worker,
            phase=phase_at(t),
            responses=int(rps * (t - start) / workers),
            failures=int(failures_per_s * (t - start) / workers),
            bytes_sent=int(100 * rps * (t - start) / workers),
            bytes_received=int(200 * rps * (t - start) / workers),
            body_sent=0,
            opens=0,
            established=established // workers + (worker < established % workers),
            in_flight=round(in_flight / workers),
            stalled=0,
            body_in_flight=int(body_in_flight(t) / workers),
            slice_count=int(rps / rate_hz / workers),
            slice_p50_s=0.062,
            slice_p99_s=0.1,
            slice_max_s=0.12,
        )
        for t in times(start, end, rate_hz)
        for worker in range(workers)
    )


def make_worker(
    worker: int = 0,
    *,
    asleep: float = 0.6,
    cpu: float = 0.3,
    lag_share: float | None = 0.05,
    lag_samples: int = 5000,
    latency_p50_s: float | None = 0.062,
    wall_s: float = WINDOW_S,
) -> WorkerCost:
    """What a load worker spent; lag_share: its lag in shares of its median latency."""
    lag = None if lag_share is None else lag_share * (latency_p50_s or 0.0)
    return WorkerCost(
        worker=worker,
        wall_s=wall_s,
        cpu_s=cpu * wall_s,
        run_queue_s=max(0.0, 1 - cpu - asleep) * wall_s,
        blocked_s=asleep * wall_s,
        loops=10_000,
        lag_samples=0 if lag is None else lag_samples,
        lag_p50_s=lag,
        lag_p99_s=None if lag is None else lag * 3,
        latency_p50_s=latency_p50_s,
    )


def make_latency(samples: int = 5000) -> Latency:
    """A plain distribution: 64 requests in flight at 1000 a second take 64 ms each."""
    return Latency(samples, 0.064, 0.062, 0.08, 0.1, 0.12, 0.2)


def make_load(**changes: Any) -> LoadResult:
    """A window of 5000 right responses in 5 s over 64 connections; any field can be changed."""
    base = LoadResult(
        connections=64,
        established=64,
        duration_s=WINDOW_S,
        responses=5000,
        ok=5000,
        failures={},
        status_classes={"2xx": 5000},
        bytes_sent=500_000,
        bytes_received=1_000_000,
        body_sent=0,
        body_answered=0,
        opens=0,
        server_closes=0,
        close_announced=0,
        unanswered_at_close=0,
        early_answers=0,
        late_responses=0,
        unanswered=0,
        unanswered_stalled_s=0.0,
        drain_s=0.1,
        drain_progress=True,
        bodies_checked=5000,
        connect_p50_s=0.0001,
        connect_max_s=0.001,
        latency=make_latency(),
        templates=(TemplateResult("get", 5000, 0, make_latency()),),
        workers=(make_worker(),),
        started=WINDOW,
        histogram={7120: 5000},
        connection_responses=Spread(64, 70, 74, 78, 82, 90),
        silent_connections=0,
    )
    return replace(base, **changes)


def with_failures(failures: Mapping[str, int], **changes: Any) -> LoadResult:
    """A window with failures, and an example of each kind, as the generator keeps them."""
    examples = tuple(FailureExample(kind, "get", f"what {kind} looked like") for kind in failures)
    return make_load(**{"failures": dict(failures), "examples": examples, **changes})


# -- the run -------------------------------------------------------------------------------------

GET = RequestTemplate("get", "GET", "/baseline11?a=13&b=42", expect=Expectation(body="55"))
UPLOAD = RequestTemplate("upload_20mb", "POST", "/upload", body_length=BODY)


def make_scenario(**changes: Any) -> Scenario:
    """GET requests; any field can be changed."""
    base = Scenario("baseline", "GET requests", "2026-04", (GET,), (64,))
    return replace(base, **changes)


UPLOADS = make_scenario(name="upload-20mb", title="20 MiB bodies", templates=(UPLOAD,))


def make_host(
    cores: int = 4, *, server: Sequence[int] | None = None, mode: str = "split"
) -> HostFacts:
    """A machine; the server has the first half of its cores, or all of them when shared."""
    cpus = tuple(range(cores))
    half = cpus if mode == "shared" else cpus[: cores // 2]
    return HostFacts(
        cpus=cpus,
        server_cpus=half if server is None else tuple(server),
        load_cpus=cpus if mode == "shared" else cpus[cores // 2 :],
        cpu_mode=mode,
        cpu_model="Example CPU",
        memory_bytes=16 * GIB,
        available_bytes=12 * GIB,
        kernel="6.18.0",
        python="3.11.7",
        somaxconn=4096,
        descriptor_limit=1_048_576,
    )


def make_phases(*, profiled: bool = False, wave: bool = False) -> tuple[PhaseSpan, ...]:
    """All phases of a whole run on the default time line; uploads begin with a wave."""
    spans = [
        PhaseSpan("launch", LAUNCH, IDLE),
        PhaseSpan("idle", IDLE, PROBE),
        PhaseSpan("probe", PROBE, CONNECT),
        PhaseSpan("connect", CONNECT, WAVE if wave else WARMUP),
        *([PhaseSpan("wave", WAVE, WARMUP)] if wave else []),
        PhaseSpan("warmup", WARMUP, WINDOW),
        PhaseSpan("window", WINDOW, DRAIN),
        PhaseSpan("drain", DRAIN, COOLDOWN),
    ]
    if profiled:
        spans.append(PhaseSpan("profile", COOLDOWN, COOLDOWN + 0.75))
    return (*spans, PhaseSpan("cooldown", spans[-1].ended or COOLDOWN, END))


def make_launch(**changes: Any) -> Launch:
    """A server that was launched by a command; any field can be changed."""
    base = Launch(
        ("./my-server", "--port", "8080"), "my-server", SERVER_PID, "127.0.0.1", 8080,
        ready_after_s=0.3, runtimes={5001: "cpython", 5002: "cpython"},
        descriptor_limits={SERVER_PID: 1024, 5001: 1024, 5002: 1024},
    )  # fmt: skip
    return replace(base, **changes)


# What a healthy server comes to before the load.
PROBES = (
    ProbeCheck("plain", "get", "pass", "55", 0.0004),
    ProbeCheck("late_ack", "get", "pass", "", 0.0002, times_s=(0.0003, 0.0002, 0.0002)),
    ProbeCheck("pipelined", "get", "pass", "", 0.0006, times_s=(0.0002, 0.0003, 0.0006)),
)


def make_manifest(**changes: Any) -> Manifest:
    """`run.json` of a whole, healthy run; any field can be changed."""
    base = Manifest(
        schema=SCHEMA,
        version="0.1.0",
        created="2026-04-01T12:00:00+00:00",
        state="complete",
        scenario=make_scenario(),
        connections=64,
        host=make_host(),
        launch=make_launch(),
        phases=make_phases(),
        probes=PROBES,
        guard=MemoryGuard(10 * GIB),
        sample_rate_hz=RATE_HZ,
    )
    return replace(base, **changes)


_UNSET = object()


@cache
def _plain_samples() -> tuple[Sample, ...]:
    """Rows are frozen: most runs share these."""
    return make_samples()


@cache
def _plain_ticks() -> tuple[LoadTick, ...]:
    return make_ticks()


def make_run(
    *,
    samples: Sequence[Sample] | None = None,
    ticks: Sequence[LoadTick] | None = None,
    load: LoadResult | object | None = _UNSET,
    profiles: Sequence[Profile] = (),
    waits: Sequence[Profile] = (),
    directory: str = "runs/20260401-120000-my-server-baseline-c64",
    **manifest: Any,
) -> Run:
    """A whole run; other arguments are fields of its manifest. load=None: no result."""
    result = make_load() if load is _UNSET else load
    assert result is None or isinstance(result, LoadResult)
    return Run(
        directory=directory,
        manifest=make_manifest(**manifest),
        samples=_plain_samples() if samples is None else tuple(samples),
        ticks=_plain_ticks() if ticks is None else tuple(ticks),
        load=result,
        profiles=tuple(profiles),
        waits=tuple(waits),
    )


def empty_run(**manifest: Any) -> Run:
    """A run that was killed before anything was measured."""
    changes: dict[str, Any] = {"state": "running", "phases": (), "probes": (), **manifest}
    return make_run(samples=(), ticks=(), load=None, **changes)


def upload_run(
    *,
    connections: int = 64,
    in_flight: float = 800 * MIB,
    growth: float = 0.0,
    baseline: float = 64 * MIB,
    after: float | None = None,
    queued: float = 0.0,
    load: LoadResult | None = None,
    memory_curve: Curve | None = None,
    **manifest: Any,
) -> Run:
    """20 MiB uploads. in_flight: most body bytes sent and not answered, `queued` of them still in
    the kernels; growth: of anonymous memory over `baseline`; after: what is held in the end."""
    curve = memory_curve or under_load(baseline, baseline + growth, after)
    threads = (Thread(SERVER_PID, 0.95), Thread(SERVER_PID + 1, 0.95))
    processes = (Process(SERVER_PID, threads, anonymous=curve),)
    sockets = Sockets(
        connections,
        unread_bytes=under_load(0, queued / 2, 0),
        client_unsent_bytes=under_load(0, queued / 2, 0),
    )
    return make_run(
        samples=make_samples(processes, sockets=sockets),
        ticks=make_ticks(
            rps=20,
            established=connections,
            in_flight=connections,
            body_in_flight=under_load(0, in_flight, 0),
        ),
        load=load or make_load(connections=connections, established=connections),
        **{"scenario": UPLOADS, "connections": connections, **manifest},
    )


def make_profile(
    stacks: Mapping[str, int] | None = None, *, pid: int = 5001, remedy: str = ""
) -> Profile:
    """A py-spy profile from collapsed stacks by weight."""
    weights = stacks or {"main (app.py:1);handle (app.py:20);dumps (json.py:3)": 80, "main": 20}
    note = ProfileNote(
        "py_spy", pid, "cpython", 49, sum(weights.values()), 0, f"py_spy-{pid}.folded", remedy
    )
    return Profile(note, tuple((tuple(key.split(";")), count) for key, count in weights.items()))


def make_waits(
    stacks: Mapping[str, int],
    *,
    looks: int = 20,
    kind: str = "off-cpu",
    unit: str = "samples",
    runtime: str = "cpython",
    seconds: float = 1.0,
    pid: int = 5001,
) -> Profile:
    """Stacks of sleeping threads, `thread;frame;...;kernel function`, by how often they were seen,
    or by microseconds."""
    file = f"waits-{pid}.folded"
    note = ProfileNote(
        "py_spy_dump", pid, runtime, 20, looks, 0, file, kind=kind, unit=unit, seconds=seconds
    )
    return Profile(note, tuple((tuple(key.split(";")), count) for key, count in stacks.items()))


def make_finding(
    name: str = "single_threaded",
    verdict: Verdict = Verdict.FOUND,
    kind: Kind = Kind.CAUSE,
    **changes: Any,
) -> Finding:
    """A finding with one row of evidence; any field can be changed."""
    found = verdict is Verdict.FOUND
    base = Finding(
        id=name,
        kind=kind,
        verdict=verdict,
        claim=f"what {name} says",
        evidence=(Evidence("top_thread_busy", 0.97, "cores", 0.9, "samples.jsonl"),),
        next_step="start one worker per core" if found else "",
        explains=0.5 if found else 0.0,
    )
    return replace(base, **changes)


def ended(status: int | None, when: str = "window", *log: str) -> ServerEnd:
    """A server that ended by itself."""
    return ServerEnd(status, when, WINDOW + 1, tuple(log))


def evidence_of(finding: Finding) -> dict[str, float | int | str]:
    """The figures behind a verdict by name (the first of each name)."""
    return {row.metric: row.value for row in reversed(finding.evidence)}
