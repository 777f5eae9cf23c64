"""record(): the phases of one run. The only concurrent code: one loop over the pipes of children.

Children (warden, sampler, load workers, profilers) are processes of their own; this one waits on
their output, writes what arrives, and looks after the guards. Whatever ends a phase early (the
user, the memory limit, the deadline, the server's death), what was measured is stored, and nothing
that was started here is left running.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Protocol

import msgspec
import psutil

import diagnose
from diagnose import registry
from diagnose.child import Child
from diagnose.errors import DiagnoseError, Interrupted, ServerFailed, UsageError, WorkerFailed
from diagnose.load.pool import LoadPool
from diagnose.load.probe import probes
from diagnose.load.requests import INLINE_BODY, prepare
from diagnose.model.load import LoadPlan, LoadResult, LoadTick
from diagnose.model.profile import ProfileNote
from diagnose.model.run import (
    SCHEMA,
    Launch,
    Manifest,
    MemoryGuard,
    PhaseSpan,
    ServerEnd,
)
from diagnose.model.scenario import RequestTemplate, Scenario
from diagnose.process_tree import descendants
from diagnose.sampling.sampler import SamplerPlan, SamplerStatus
from diagnose.server import host as host_room
from diagnose.server import ports, readiness, runtime
from diagnose.server.launch import (
    AttachedServer,
    LaunchedServer,
    Server,
    check_command,
    expand,
    log_tail,
)
from diagnose.store.writer import RunWriter

_log = logging.getLogger(__name__)

IDLE_S = 1.0
COOLDOWN_S = 2.0
PROFILE_S = 3.0
# Long enough for some samples of memory and sockets while all bodies are held.
WAVE_LOOK_S = 0.6
PROFILE_SETTLE_S = 0.5
# A profiler needs this long beyond its window to attach, stop and write.
PROFILER_PATIENCE_S = 20.0
REPORT_PATIENCE_S = 5.0
PROBE_TIMEOUT_S = 5.0
PROBE_BUDGET_S = 15.0
MEMORY_SHARE = 0.8
# Processes that get a profiler: the busiest ones; the others of a pre-forking server look alike.
PROFILED_PROCESSES = 2


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to run and how; None means the default that the scenario or the host gives.

    command is empty when `attach_pid` names a server that runs already.
    """

    scenario: Scenario
    connections: int
    command: tuple[str, ...] = ()
    attach_pid: int | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    name: str = ""
    output: Path = Path("runs")
    server_cpus: tuple[int, ...] | None = None
    load_cpus: tuple[int, ...] | None = None
    load_workers: int | None = None
    memory_limit: int | None = None
    deadline_s: float | None = None
    ready_timeout_s: float = 30.0
    profile: str = "auto"
    sample_rate_hz: float = 20.0
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Live:
    """How the run stands, some times a second. Rates are per second over the last moments."""

    phase: str
    phase_s: float
    rps: float
    failures: int
    in_flight: int
    cpu_cores: float
    rss: int
    bytes_sent_rate: float


class Observer(Protocol):
    """Who watches a run; the command line prints, a test collects."""

    def phase(self, name: str) -> None:
        """A phase begins."""

    def phase_done(self, name: str, seconds: float, said: str) -> None:
        """A phase is over; `said` holds its figures."""

    def live(self, live: Live) -> None:
        """The figures of the moment."""

    def note(self, text: str) -> None:
        """Something the user should know."""


class _Ended(Exception):
    """The phases end here; the reason stands in the manifest."""


def record(options: RunOptions, observer: Observer) -> Path:
    """Run all phases and store them; the run directory.

    An interrupted run is stored with the state `interrupted`.

    Raises: UsageError, HostLimit before anything is started; ServerFailed when the server does
    not get ready and WorkerFailed when a process of ours fails, both after what was measured is
    stored, with the directory as a note.
    """
    recording = _Recording(options, observer)
    return recording.run()


class _Recording:
    def __init__(self, options: RunOptions, observer: Observer) -> None:
        self.options = options
        self.observer = observer
        self.scenario = options.scenario
        self.selector = selectors.DefaultSelector()
        self.server: Server | None = None
        self.sampler: Child | None = None
        self.pools: list[LoadPool] = []
        self.interrupted = False
        self.status: SamplerStatus | None = None
        self.server_ended_at = 0.0
        self._blocking = False
        self._ticks: dict[int, LoadTick] = {}
        self._live_before: tuple[float, int, int, float] | None = None
        self._live_last = 0.0
        self._sampler_samples = 0
        self._limit_checked = False
        self._started = time.monotonic()
        self.writer: RunWriter
        self.manifest: Manifest

    # -- the whole -----------------------------------------------------------------------------

    def run(self) -> Path:
        with self._signals():
            self._check()
            error: DiagnoseError | None = None
            state = "complete"
            try:
                self._phases()
            except _Ended:
                state = "interrupted" if self.interrupted else "complete"
            except Interrupted:
                self.interrupted = True
                state = "interrupted"
            except ServerFailed as failed:
                state, error = "failed", failed
            except WorkerFailed as failed:
                state, error = "failed", failed
            finally:
                self._shut_down()
            self._note_end()
            self._close_spans()
            self._update(state=state)
            self.writer.close()
            self.selector.close()
        if error is not None:
            error.add_note(str(self.writer.path))
            raise error
        return self.writer.path

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT, SIGTERM and SIGHUP end the run in order; a second SIGINT does not wait."""

        def handle(number: int, _: FrameType | None) -> None:
            again = self.interrupted
            self.interrupted = True
            if self._blocking or (again and number == signal.SIGINT):
                raise Interrupted(f"interrupted by {signal.Signals(number).name}")

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _phases(self) -> None:
        with self._phase("launch") as said:
            self._launch()
            said.append(f"ready after {self.manifest.launch.ready_after_s:.2f} s")
        with self._phase("idle") as said:
            self._pump(time.monotonic() + IDLE_S)
            self._detect_runtimes()
            said.append(self._standing())
        with self._phase("probe") as said:
            said.append(self._probe())
        result = self._measure()
        if result is not None and self._worth_profiling(result):
            with self._phase("profile") as said:
                said.append(self._profile(result))
        with self._phase("cooldown") as said:
            self._pump(time.monotonic() + COOLDOWN_S)
            said.append(self._standing())

    # -- check and launch ----------------------------------------------------------------------

    def _check(self) -> None:
        options = self.options
        server_cpus, load_cpus, mode = host_room.cpu_sets(options.server_cpus, options.load_cpus)
        workers = self._workers(load_cpus)
        limit = host_room.raise_descriptor_limit(options.connections, workers)
        host_room.check_ports(options.connections)
        port = options.port
        if options.attach_pid is None:
            if not options.command:
                raise UsageError("no command: give the server's command behind `--`")
            check_command(options.command)
            if port == 0:
                port = ports.free_port(options.host)
            else:
                ports.check_free(options.host, port)
        if options.profile not in ("auto", "none", *registry.modules("diagnose.profilers")):
            names = ", ".join(registry.modules("diagnose.profilers"))
            raise UsageError(f"no profiler {options.profile!r}; known: auto, none, {names}")
        facts = host_room.host_facts(server_cpus, load_cpus, mode, limit)
        guard = options.memory_limit or int(facts.available_bytes * MEMORY_SHARE)
        command = tuple(expand(options.command, port))
        name = options.name or (Path(command[0]).name if command else f"pid{options.attach_pid}")
        created = datetime.now(UTC)
        self.writer = RunWriter(
            options.output,
            created,
            f"{name}-{self.scenario.name}-c{options.connections}",
        )
        self.manifest = Manifest(
            schema=SCHEMA,
            version=diagnose.__version__,
            created=created.isoformat(timespec="seconds"),
            state="running",
            scenario=self.scenario,
            connections=options.connections,
            host=facts,
            launch=Launch(
                command=command,
                name=name,
                pid=options.attach_pid or -1,
                host=options.host,
                port=port,
                attached=options.attach_pid is not None,
            ),
            guard=MemoryGuard(guard),
            sample_rate_hz=options.sample_rate_hz,
        )
        self.writer.manifest(self.manifest)

    def _workers(self, load_cpus: tuple[int, ...]) -> int:
        wanted = self.options.load_workers or len(load_cpus)
        return max(1, min(wanted, self.options.connections))

    def _launch(self) -> None:
        options, launch = self.options, self.manifest.launch
        began = time.monotonic()
        if options.attach_pid is not None:
            self.server = AttachedServer(options.attach_pid)
        else:
            environment = {**os.environ, **options.environment, "PORT": str(launch.port)}
            self.server = LaunchedServer(
                launch.command, environment, self.writer.log_path, self.manifest.host.server_cpus
            )
        self._update(launch=replace(launch, pid=self.server.pid))
        self._start_sampler()
        warden = self.server.watch()
        if warden is not None:
            server = self.server

            def hear() -> None:
                for line in warden.lines():
                    server.heard(line)
                if warden.ended:
                    self.selector.unregister(warden)

            self.selector.register(warden, selectors.EVENT_READ, hear)
        self._wait_ready(began)

    def _start_sampler(self) -> None:
        assert self.server is not None
        self.sampler = sampler = Child("diagnose.sampling.sampler")
        plan = SamplerPlan(
            root=self.server.sample_root,
            include_root=self.server.include_root,
            port=self.manifest.launch.port,
            path=str(self.writer.samples_path),
            rate_hz=self.options.sample_rate_hz,
        )
        sampler.send(msgspec.json.encode(plan))

        def hear() -> None:
            for line in sampler.lines():
                self.status = msgspec.json.decode(line, type=SamplerStatus)
            if sampler.ended:
                self.selector.unregister(sampler)
                self._add_note(f"the sampler ended early: {sampler.last_words()}")

        self.selector.register(sampler, selectors.EVENT_READ, hear)

    def _wait_ready(self, began: float) -> None:
        launch = self.manifest.launch
        template = self.scenario.templates[0]
        if template.payload_length > INLINE_BODY:
            template = RequestTemplate("ready", template.method, template.target, body="diagnose")
        shown = f"[{launch.host}]" if ":" in launch.host else launch.host
        request = prepare(template, f"{shown}:{launch.port}").head
        deadline = began + self.options.ready_timeout_s
        seen = readiness.Seen(False, "nothing yet")
        pause = 0.02
        while time.monotonic() < deadline:
            self._pump(time.monotonic() + pause)
            pause = min(0.2, pause * 1.5)
            assert self.server is not None
            if self.server.ended:
                raise ServerFailed(self._death_notice())
            with self._interruptible():
                seen = readiness.knock(launch.host, launch.port, request)
            if seen.ready:
                after = time.monotonic() - began
                self._update(launch=replace(self.manifest.launch, ready_after_s=after))
                return
        raise ServerFailed(self._never_ready(template, seen))

    def _death_notice(self) -> str:
        status = self.server.status if self.server else None
        if status is None:
            return "the process to attach to is gone"
        how = f"with status {status}"
        if status < 0:
            how = f"by {signal.Signals(-status).name}"
        return (
            f"the server ended {how} before it was ready ({' '.join(self.manifest.launch.command)})"
            + self._quoted_log()
            + "\nRun the command by hand to see whether it starts; it gets PORT in its environment."
        )

    def _never_ready(self, template: RequestTemplate, seen: readiness.Seen) -> str:
        launch = self.manifest.launch
        assert self.server is not None
        others = [
            f"{address}:{port}"
            for address, port in ports.listeners(self.server.sample_root, self.server.include_root)
            if port != launch.port or address not in ("0.0.0.0", "::", launch.host)
        ]
        hint = "raise --ready-timeout if it only needs longer"
        if others:
            hint = (
                f"it listens on {', '.join(others)}: pass that port with --port (and --host), or "
                "let the command take $PORT"
            )
        return (
            f"the server was not ready after {self.options.ready_timeout_s:.0f} s: "
            f"{template.method} {template.target} on {launch.host}:{launch.port}: {seen.said}; "
            + hint
            + self._quoted_log()
        )

    def _quoted_log(self) -> str:
        lines = log_tail(self.writer.log_path)
        if not lines:
            return "\nIt wrote no output."
        return "\nIts last lines:\n" + "\n".join(f"  | {line}" for line in lines)

    def _detect_runtimes(self) -> None:
        assert self.server is not None
        pids = descendants(self.server.sample_root)
        if self.server.include_root:
            pids.append(self.server.sample_root)
        runtimes = {pid: runtime.detect(pid) for pid in pids[:64]}
        self._update(launch=replace(self.manifest.launch, runtimes=runtimes))

    # -- probe and load ------------------------------------------------------------------------

    def _probe(self) -> str:
        launch = self.manifest.launch
        checks = []
        deadline = time.monotonic() + PROBE_BUDGET_S
        with self._interruptible():
            for check in probes(self.scenario, launch.host, launch.port, PROBE_TIMEOUT_S):
                checks.append(check)
                self._update(probes=tuple(checks))
                self._pump(time.monotonic())
                if time.monotonic() > deadline:
                    break
        failed = [check for check in checks if check.outcome != "pass"]
        said = f"{len(checks) - len(failed)} of {len(checks)} checks passed"
        for check in failed[:1]:
            said += f"; {check.template}, {check.name}: {check.detail[:90]}"
        return said

    def _plan(self, warmup_s: float, duration_s: float, drain_s: float) -> LoadPlan:
        launch = self.manifest.launch
        return LoadPlan(
            address=launch.host,
            port=launch.port,
            scenario=self.scenario,
            total_connections=self.options.connections,
            first=0,
            step=1,
            warmup_s=warmup_s,
            duration_s=duration_s,
            drain_s=drain_s,
        )

    def _start_pool(self, plan: LoadPlan) -> LoadPool:
        host = self.manifest.host
        pool = LoadPool(plan, self._workers(host.load_cpus), host.load_cpus)
        self.pools.append(pool)
        self._ticks.clear()
        for child in pool.children:
            self.selector.register(child, selectors.EVENT_READ, self._load_listener(pool, child))
        return pool

    def _load_listener(self, pool: LoadPool, child: Child) -> Callable[[], None]:
        def hear() -> None:
            for line in child.lines():
                tick = pool.heard(child, line)
                if tick is not None:
                    self.writer.tick(tick)
                    self._ticks[tick.worker] = tick
            if child.ended:
                self.selector.unregister(child)
                pool.check_alive(child)

        return hear

    def _measure(self) -> LoadResult | None:
        """Connect, warm up, measure, drain; the result is stored before anything else happens."""
        scenario = self.scenario
        plan = self._plan(scenario.warmup_s, scenario.duration_s, scenario.timeout_s + 1.0)
        pool = self._start_pool(plan)
        result: LoadResult | None = None
        try:
            with self._phase("connect") as said:
                self._pump(time.monotonic() + plan.connect_s + 10.0, lambda: pool.ready)
                said.append(f"{pool.established} of {plan.total_connections} connections")
            if scenario.has_large_bodies:
                with self._phase("wave") as said:
                    said.append(self._wave(pool, plan))
            with self._phase("load") as said:
                pool.command(b"go")
                longest = plan.warmup_s + plan.duration_s + plan.drain_s + REPORT_PATIENCE_S
                self._pump(time.monotonic() + longest, lambda: pool.finished, during_load=True)
        finally:
            result = self._collect(pool)
            pool.close()
            self._unregister(pool)
        if result is not None:
            self.observer.note(_figures(result))
        return result

    def _wave(self, pool: LoadPool, plan: LoadPlan) -> str:
        """Every body in flight at once: what the server then holds, it holds for all of them."""
        pool.command(b"wave")
        self._pump(time.monotonic() + plan.wave_s + 5.0, lambda: pool.waved, during_load=True)
        self._pump(time.monotonic() + WAVE_LOOK_S, during_load=True)
        return f"{pool.held} of {plan.total_connections} bodies in flight; {self._standing()}"

    def _collect(self, pool: LoadPool) -> LoadResult | None:
        """The workers' reports, asked for early if need be; stored."""
        if not pool.finished:
            try:
                pool.command(b"stop")
                self._pump_raw(time.monotonic() + REPORT_PATIENCE_S, lambda: pool.finished)
            except (WorkerFailed, OSError) as error:
                self._add_note(f"a load worker gave no report: {error}")
        result = pool.result()
        if result is None:
            return None
        self.writer.load(result)
        began = result.started
        ended = began + result.duration_s
        spans = [span for span in self.manifest.phases if span.name != "load"]
        load = next((span for span in self.manifest.phases if span.name == "load"), None)
        if load is None:
            return result
        spans += [
            PhaseSpan("warmup", load.started, began),
            PhaseSpan("window", began, ended),
            PhaseSpan("drain", ended, ended + result.drain_s),
        ]
        self._update(phases=tuple(spans))
        return result

    def _unregister(self, pool: LoadPool) -> None:
        registered = self.selector.get_map()
        for key in list(registered.values()):
            if key.fileobj in pool.children:
                self.selector.unregister(key.fileobj)

    # -- profile -------------------------------------------------------------------------------

    def _worth_profiling(self, result: LoadResult) -> bool:
        if self.options.profile == "none":
            return False
        assert self.server is not None
        hangs = result.unanswered > 0 and not result.drain_progress
        return not hangs and not self.server.ended and result.responses > 0

    def _profile(self, measured: LoadResult) -> str:
        """The same load again with profilers on the busiest processes."""
        targets = self._busiest()
        chosen = [(pid, kind, self._profiler_for(kind)) for pid, kind in targets]
        notes: list[ProfileNote] = []
        plan = self._plan(PROFILE_SETTLE_S, PROFILE_S, 3.0)
        pool = self._start_pool(plan)
        with tempfile.TemporaryDirectory(prefix="diagnose-") as scratch:
            running: list[tuple[int, str, str, Path, subprocess.Popen[bytes]]] = []
            try:
                self._pump(time.monotonic() + plan.connect_s + 10.0, lambda: pool.ready)
                pool.command(b"go")
                self._pump(time.monotonic() + PROFILE_SETTLE_S)
                for pid, kind, name in chosen:
                    module = registry.modules("diagnose.profilers").get(name)
                    if module is None:
                        remedy = f"no profiler here reads {kind}"
                        notes.append(ProfileNote(name or "none", pid, kind, 0, 0, 0, "", remedy))
                        continue
                    missing = module.available()
                    if missing:
                        notes.append(ProfileNote(name, pid, kind, 0, 0, 0, "", missing))
                        continue
                    out = Path(scratch) / f"{name}-{pid}"
                    process = subprocess.Popen(
                        module.command(pid, PROFILE_S, out),
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                    running.append((pid, kind, name, out, process))
                patience = time.monotonic() + PROFILE_S + PROFILER_PATIENCE_S
                self._pump(
                    patience,
                    lambda: pool.finished and all(entry[4].poll() is not None for entry in running),
                )
                for pid, kind, name, out, process in running:
                    notes.append(self._collected(pid, kind, name, out, process))
            finally:
                for entry in running:
                    _end(entry[4])
                if not pool.finished:
                    pool.command(b"stop")
                    self._pump_raw(time.monotonic() + 2.0, lambda: pool.finished)
                result = pool.result()
                pool.close()
                self._unregister(pool)
        self._update(profiles=tuple(notes), profiled_rps=result.rps if result else None)
        return _profile_said(notes, measured, result)

    def _collected(
        self, pid: int, kind: str, name: str, out: Path, process: subprocess.Popen[bytes]
    ) -> ProfileNote:
        module = registry.modules("diagnose.profilers")[name]
        said = _end(process)
        with self._interruptible():
            collected = module.collect(out, said)
        file = ""
        if collected.folded:
            file = f"{name}-{pid}.folded"
            (self.writer.profiles_path / file).write_text(collected.folded, encoding="utf-8")
        return ProfileNote(
            name,
            pid,
            kind,
            module.RATE_HZ,
            collected.samples,
            collected.errors,
            file,
            collected.remedy,
        )

    def _busiest(self) -> list[tuple[int, str]]:
        """The processes that used most CPU so far, with their runtimes; idle ones left out."""
        used: list[tuple[float, int]] = []
        for pid in self.manifest.launch.runtimes:
            try:
                times = psutil.Process(pid).cpu_times()
            except psutil.Error:
                continue
            used.append((times.user + times.system, pid))
        used.sort(reverse=True)
        top = used[0][0] if used else 0.0
        return [
            (pid, self.manifest.launch.runtimes[pid])
            for seconds, pid in used[:PROFILED_PROCESSES]
            if seconds > 0.2 * top
        ]

    def _profiler_for(self, kind: str) -> str:
        if self.options.profile != "auto":
            return self.options.profile
        for name, module in registry.modules("diagnose.profilers").items():
            if kind in module.RUNTIMES:
                return name
        return ""

    # -- the loop ------------------------------------------------------------------------------

    def _pump_raw(self, until: float, done: Callable[[], bool]) -> None:
        """Listen to the children, without guards."""
        while not done():
            left = until - time.monotonic()
            if left < 0:
                return
            for key, _ in self.selector.select(min(left, 0.05)):
                key.data()

    def _pump(
        self,
        until: float,
        done: Callable[[], bool] = lambda: False,
        *,
        during_load: bool = False,
    ) -> None:
        """Listen to the children and look after the guards, at least once.

        Raises: _Ended when the run is over before its time.
        """
        while True:
            left = max(0.0, until - time.monotonic())
            for key, _ in self.selector.select(min(left, 0.05)):
                key.data()
            self._guards(during_load)
            self._show()
            if done() or time.monotonic() >= until:
                return

    def _guards(self, during_load: bool) -> None:
        if self.interrupted:
            raise _Ended
        now = time.monotonic()
        if self.options.deadline_s and now - self._started > self.options.deadline_s:
            self._add_note(f"ended at the deadline of {self.options.deadline_s:.0f} s")
            raise _Ended
        guard = self.manifest.guard
        status = self.status
        if status is not None and not guard.tripped and status.held > guard.limit_bytes:
            self._update(
                guard=replace(guard, tripped=True, at_bytes=status.held, t=status.t),
            )
            raise _Ended
        if self.server is not None and self.server.ended and self.manifest.launch.ready_after_s:
            if not self.server_ended_at:
                self.server_ended_at = now
                self._update(
                    end=ServerEnd(self.server.status, self._current_phase(), now),
                )
            # A moment longer, so that the load shows how its connections ended.
            if not during_load or now - self.server_ended_at > 1.0:
                raise _Ended

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """A blocking call that a signal may break off."""
        self._blocking = True
        try:
            if self.interrupted:
                raise _Ended
            yield
        finally:
            self._blocking = False

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._live_last < 0.25:
            return
        self._live_last = now
        ticks = list(self._ticks.values())
        responses = sum(tick.responses for tick in ticks)
        sent = sum(tick.bytes_sent for tick in ticks)
        cpu = self.status.cpu_s if self.status else 0.0
        before = self._live_before
        self._live_before = (now, responses, sent, cpu)
        span = now - before[0] if before else 1.0
        self.observer.live(
            Live(
                phase=ticks[0].phase if ticks else self._current_phase(),
                phase_s=now - self.manifest.phases[-1].started if self.manifest.phases else 0.0,
                rps=max(0.0, (responses - before[1]) / span) if before else 0.0,
                failures=sum(tick.failures for tick in ticks),
                in_flight=sum(tick.in_flight for tick in ticks),
                cpu_cores=max(0.0, (cpu - before[3]) / span) if before else 0.0,
                rss=self.status.rss if self.status else 0,
                bytes_sent_rate=max(0.0, (sent - before[2]) / span) if before else 0.0,
            )
        )

    # -- bookkeeping ---------------------------------------------------------------------------

    @contextmanager
    def _phase(self, name: str) -> Iterator[list[str]]:
        self.observer.phase(name)
        began = time.monotonic()
        self._update(phases=(*self.manifest.phases, PhaseSpan(name, began)))
        said: list[str] = []
        try:
            yield said
        finally:
            self._close_spans()
            self.observer.phase_done(name, time.monotonic() - began, "; ".join(said))

    def _close_spans(self) -> None:
        now = time.monotonic()
        self._update(
            phases=tuple(
                span if span.ended is not None else replace(span, ended=now)
                for span in self.manifest.phases
            )
        )

    def _current_phase(self) -> str:
        ticks = list(self._ticks.values())
        open_spans = [span.name for span in self.manifest.phases if span.ended is None]
        if open_spans[-1:] == ["load"] and ticks:
            return ticks[0].phase
        return open_spans[-1] if open_spans else ""

    def _update(self, **changes: object) -> None:
        self.manifest = replace(self.manifest, **changes)  # type: ignore[arg-type]
        self.writer.manifest(self.manifest)

    def _add_note(self, text: str) -> None:
        _log.warning("%s", text)
        self.observer.note(text)
        self._update(notes=(*self.manifest.notes, text))

    def _standing(self) -> str:
        status = self.status
        if status is None:
            return "no samples yet"
        plural = "" if status.processes == 1 else "es"
        return (
            f"{status.processes} process{plural}, {status.threads} threads, "
            f"RSS {status.rss / 2**20:.0f} MiB"
        )

    def _note_end(self) -> None:
        tail = log_tail(self.writer.log_path)
        self._update(end=replace(self.manifest.end, log_tail=tail))

    def _shut_down(self) -> None:
        """End everything that was started here, in any state."""
        for pool in self.pools:
            if any(not child.ended for child in pool.children):
                pool.close(0.2)
        if self.server is not None:
            self.server.stop()
        if self.sampler is not None:
            self.sampler.close(2.0)
            self.sampler.discard()


def _end(process: subprocess.Popen[bytes]) -> str:
    """What a profiler said; it is killed if it still runs."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(3.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is None or process.stdout.closed:
        return ""
    with process.stdout as stream:
        return stream.read().decode(errors="replace")


def _figures(result: LoadResult) -> str:
    latency = result.latency
    return (
        f"{result.rps:,.0f} right responses/s, p50 {latency.p50_s * 1e3:.2f} ms, "
        f"p99 {latency.p99_s * 1e3:.2f} ms, {result.failed} failures in {result.duration_s:.1f} s"
    )


def _profile_said(
    notes: list[ProfileNote], measured: LoadResult, profiled: LoadResult | None
) -> str:
    parts = [
        f"{note.profiler} on PID {note.pid} ({note.runtime}): "
        + (f"{note.samples} samples at {note.rate_hz} Hz" if note.file else note.remedy)
        for note in notes
    ]
    if profiled is not None and measured.rps > 0:
        parts.append(f"throughput {profiled.rps / measured.rps:.2f}x of the unprofiled window")
    return "; ".join(parts) or "no busy process to profile"
