"""record(): the phases of one run.

Children (warden, sampler, load workers, profilers) are processes of their own; this one waits on
their output, writes what arrives, and looks after the guards. Whatever ends a phase early (the
user, the memory limit, the deadline, the server's death), what was measured is stored, and nothing
that was started here is left running.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import msgspec
import psutil

import diagnose
from diagnose.child import Child
from diagnose.errors import DiagnoseError, Interrupted, ServerFailed, UsageError, WorkerFailed
from diagnose.load.further import further
from diagnose.load.probe import probes
from diagnose.load.variations import variations
from diagnose.model.load import LoadResult
from diagnose.model.profile import ProfileNote
from diagnose.model.run import SCHEMA, Launch, Manifest, MemoryGuard, ProbeCheck, ServerEnd
from diagnose.process_tree import descendants
from diagnose.recorder import off_cpu, profiling
from diagnose.recorder.journal import Journal
from diagnose.recorder.loading import Loads, chosen_driver, most_workers
from diagnose.recorder.loop import Ended, Loop
from diagnose.recorder.options import Live, Observer, RunOptions
from diagnose.recorder.readying import wait_ready
from diagnose.recorder.thread_use import Moment
from diagnose.sampling.protocol import MARK, SamplerPlan, SamplerStatus
from diagnose.server import descriptors, ports, runtime
from diagnose.server import host as host_room
from diagnose.server.launch import (
    LINE_CHARACTERS,
    AttachedServer,
    LaunchedServer,
    Server,
    check_command,
    expand,
    log_head,
    log_tail,
)
from diagnose.server.settings import facts_of
from diagnose.store.writer import RunWriter

PROFILE_SETTLE_S = 0.3
# A profiler needs this long beyond its window to attach, stop and write.
PROFILER_PATIENCE_S = 20.0
PROBE_TIMEOUT_S = 5.0
PROBE_BUDGET_S = 15.0
MEMORY_SHARE = 0.8
KEPT_LINES = 40
# A runtime is found out by reading the executable: enough processes to know the kinds.
INSPECTED_PROCESSES = 64
LIVE_S = 0.25
WRAPPERS = ("env", "nice", "nohup", "exec")
SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


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
        self.loop = Loop(self._look)
        self.server: Server | None = None
        self.sampler: Child | None = None
        self.status: SamplerStatus | None = None
        self._command: tuple[str, ...] = ()
        self.server_ended_at = 0.0
        self._marked = ""
        self._live_before: tuple[float, int, int, float] | None = None
        self._live_last = 0.0
        self._started = time.monotonic()
        self.journal: Journal
        self.loads: Loads

    @property
    def manifest(self) -> Manifest:
        """As it is now."""
        return self.journal.manifest

    # -- the whole -----------------------------------------------------------------------------

    def run(self) -> Path:
        with self.loop.signals():
            self._check()
            error: DiagnoseError | None = None
            state = "complete"
            try:
                self._phases()
            except Ended:
                state = "interrupted" if self.loop.interrupted else "complete"
            except Interrupted:
                self.loop.interrupted = True
                state = "interrupted"
            except ServerFailed as failed:
                state, error = "failed", failed
            except WorkerFailed as failed:
                state, error = "failed", failed
            finally:
                self._shut_down()
            self._note_end()
            self.journal.close_spans()
            self.journal.update(state=state)
            self.journal.writer.close()
            self.loop.close()
        if error is not None:
            error.add_note(str(self.journal.writer.path))
            raise error
        return self.journal.writer.path

    def _phases(self) -> None:
        with self.journal.phase("launch") as said:
            self._launch()
            said.append(f"ready after {self.manifest.launch.ready_after_s:.2f} s")
        with self.journal.phase("idle") as said:
            self.loop.pump(time.monotonic() + self.options.idle_s)
            self._detect_runtimes()
            said.append(self._standing())
        if self.options.probes:
            with self.journal.phase("probe") as said:
                said.append(self._probe())
        self._keep_log(before_load=True)
        try:
            result = self.loads.measure(self._standing)
        finally:
            self._keep_log(before_load=False)
        if result is not None:
            self.observer.note(_figures(result))
        if result is not None and self._worth_profiling(result):
            # In this order: Flight Recorder has the JVM compile again what it changed, which takes
            # a core for two seconds after it has ended.
            with self.journal.phase("off_cpu") as said:
                said.append(self._off_cpu())
            with self.journal.phase("profile") as said:
                said.append(self._profile(result))
        with self.journal.phase("cooldown") as said:
            self.loop.pump(time.monotonic() + self.options.cooldown_s)
            said.append(self._standing())

    # -- check and launch ----------------------------------------------------------------------

    def _check(self) -> None:
        options = self.options
        wanted = options.server_cpus
        if options.attach_pid is not None:
            wanted = host_room.affinity_of(options.attach_pid)
        server_cpus, load_cpus, mode = host_room.cpu_sets(wanted, options.load_cpus)
        if self.scenario.server_cores and options.server_cpus is None:
            server_cpus = server_cpus[: self.scenario.server_cores]
        chosen_driver(options)
        workers = most_workers(options, load_cpus)
        limit = host_room.raise_descriptor_limit(options.connections, workers)
        host_room.sources(options.host, options.connections)
        port = options.port
        if options.attach_pid is not None:
            _check_attached(options.attach_pid, port)
        if options.attach_pid is None:
            if not options.command:
                raise UsageError("no command: give the server's command behind `--`")
            check_command(options.command)
            if port == 0:
                port = ports.free_port(options.host)
            else:
                ports.check_free(options.host, port)
        profiling.check_name(options.profile)
        facts = host_room.host_facts(server_cpus, load_cpus, mode, limit)
        guard = options.memory_limit or int(facts.available_bytes * MEMORY_SHARE)
        self._command = tuple(expand(options.command, port))
        command = tuple(_utf8(word) for word in self._command)
        name = _utf8(options.name) or _program_name(command) or f"pid{options.attach_pid}"
        created = datetime.now(UTC)
        writer = RunWriter(
            options.output,
            created,
            f"{name}-{self.scenario.name}-c{options.connections}",
        )
        manifest = Manifest(
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
            invocation=tuple(_utf8(word) for word in options.invocation),
        )
        self.journal = Journal(manifest, writer, self.observer)
        self.loads = Loads(options, self.journal, self.loop)

    def _launch(self) -> None:
        options, launch = self.options, self.manifest.launch
        began = time.monotonic()
        if options.attach_pid is not None:
            self.server = AttachedServer(options.attach_pid)
        else:
            environment = {**os.environ, **options.environment, "PORT": str(launch.port)}
            self.server = LaunchedServer(
                self._command,
                environment,
                self.journal.writer.log_path,
                self.manifest.host.server_cpus,
            )
        self.journal.update(launch=replace(launch, pid=self.server.pid))
        self._start_sampler()
        warden = self.server.watch()
        if warden is not None:
            self.loop.listen(warden, self.server.heard, lambda: None)
        after = wait_ready(
            self.loop,
            self.server,
            self.scenario,
            self.manifest.launch,
            self.journal.writer.log_path,
            began,
            self.options.ready_timeout_s,
        )
        self.journal.update(launch=replace(self.manifest.launch, ready_after_s=after))

    def _start_sampler(self) -> None:
        assert self.server is not None
        self.sampler = sampler = Child("diagnose.sampling.sampler")
        plan = SamplerPlan(
            root=self.server.sample_root,
            include_root=self.server.include_root,
            port=self.manifest.launch.port,
            path=str(self.journal.writer.samples_path),
            rate_hz=self.options.sample_rate_hz,
            reset_peaks=self.options.attach_pid is None,
            window_s=self.scenario.duration_s,
        )
        sampler.send(msgspec.json.encode(plan))

        self.loop.listen(sampler, self._sampled, self._sampler_ended)

    def _sampled(self, line: bytes) -> None:
        self.status = msgspec.json.decode(line, type=SamplerStatus)

    def _sampler_ended(self) -> None:
        if self.sampler is not None:
            self.journal.note(f"the sampler ended early: {self.sampler.last_words()}")

    def _detect_runtimes(self) -> None:
        pids = self._processes()
        launch = replace(
            self.manifest.launch,
            runtimes={pid: runtime.detect(pid) for pid in pids},
            descriptor_limits=descriptors.limits(pids),
            processes=facts_of(pids),
        )
        self.journal.update(launch=launch)

    def _processes(self) -> list[int]:
        """The server's processes now; of very many the first."""
        assert self.server is not None
        pids = descendants(self.server.sample_root)
        if self.server.include_root:
            pids.append(self.server.sample_root)
        return pids[:INSPECTED_PROCESSES]

    def _runtimes(self) -> dict[int, str]:
        """The server's processes now with their runtimes: workers may have come under load."""
        return profiling.living(self.manifest.launch.runtimes, self._processes(), runtime.detect)

    def _keep_log(self, before_load: bool) -> None:
        """Lines of the server's output: what it says of itself, and what it says under load."""
        path, log = self.journal.writer.log_path, self.manifest.log
        if before_load:
            log = replace(log, head=log_head(path, KEPT_LINES))
        else:
            lines = log_tail(path, KEPT_LINES)
            log = replace(log, loaded=tuple(line[:LINE_CHARACTERS] for line in lines))
        self.journal.update(log=log)

    # -- probe and load ------------------------------------------------------------------------

    def _probe(self) -> str:
        launch = self.manifest.launch
        checks: list[ProbeCheck] = []
        deadline = time.monotonic() + PROBE_BUDGET_S
        where = (self.scenario, launch.host, launch.port, PROBE_TIMEOUT_S)
        with self.loop.interruptible():
            # The other kinds are asked for when the first is through: they read what that saw.
            for check in chain(probes(*where), variations(*where, checks), further(*where, checks)):
                checks.append(check)
                self.journal.update(probes=tuple(checks))
                self.loop.pump(time.monotonic())
                if time.monotonic() > deadline:
                    break
        failed = [check for check in checks if check.outcome in ("fail", "error")]
        said = f"{len(checks) - len(failed)} of {len(checks)} checks passed"
        for check in failed[:1]:
            said += f"; {check.template}, {check.name}: {check.detail[:90]}"
        return said

    # -- profile -------------------------------------------------------------------------------

    def _worth_profiling(self, result: LoadResult) -> bool:
        if self.options.profile == "none":
            return False
        assert self.server is not None
        hangs = result.unanswered > 0 and not result.drain_progress
        alive = not hangs and not self.server.ended
        return alive and result.responses > 0 and self.loads.repeatable

    def _profile(self, measured: LoadResult) -> str:
        """The same load again with profilers on the busiest processes."""
        profilers = profiling.Profilers(self.options.profile)
        seconds = self.options.profile_s
        pool = self.loads.again(PROFILE_SETTLE_S, seconds)
        notes: tuple[ProfileNote, ...] = ()
        try:
            moment = Moment(self._processes())
            pool.command(b"go")
            self.loop.pump(time.monotonic() + PROFILE_SETTLE_S)
            profilers.start(profiling.busiest(self._runtimes()), seconds, moment.threads)
            self.loop.pump(
                time.monotonic() + seconds + PROFILER_PATIENCE_S,
                lambda: pool.finished and profilers.finished,
            )
            with self.loop.interruptible():
                notes = profilers.collect(self.journal.writer.profiles_path)
                self.journal.update(system_calls=profilers.counts())
        finally:
            profilers.close()
            result = self.loads.finish(pool)
        self.journal.update(profiles=notes, profiled_rps=result.rps if result else None)
        return _profile_said(notes, measured, result)

    def _off_cpu(self) -> str:
        """The same load once more, and where the server's threads wait in it."""
        waiting = off_cpu.OffCpu(
            off_cpu.most_connected(self._runtimes()),
            self.loop,
            self.journal.writer.profiles_path,
        )
        pool = self.loads.again(0.0, off_cpu.LOAD_S)
        try:
            waiting.rest()
            pool.command(b"go")
            self.loop.pump(time.monotonic() + PROFILE_SETTLE_S)
            # One moment may hold a collection, or a compilation.
            for _ in range(off_cpu.MOMENTS):
                busy, own = self._busy_shares()
                if not off_cpu.waits_for_cores(busy, own):
                    break
            else:
                return f"the server's cores were busy for {busy:.0%}: it waits for little else"
            waiting.take()
        finally:
            waiting.close()
            self.loads.finish(pool)
        self.journal.update(waits=waiting.notes)
        return off_cpu.said(waiting.notes)

    def _busy_shares(self) -> tuple[float, float]:
        """How much of the server's cores is used over a moment: by whomever, by the server."""
        cpus = self.manifest.host.server_cpus
        pids = self._processes()
        before, used = host_room.core_times(cpus), profiling.cpu_s(pids)
        self.loop.pump(time.monotonic() + off_cpu.MOMENT_S)
        after, used_after = host_room.core_times(cpus), profiling.cpu_s(pids)
        busy, total = (late - early for late, early in zip(after, before, strict=True))
        return (busy / total, max(0.0, used_after - used) / total) if total > 0 else (0.0, 0.0)

    # -- guards and display ---------------------------------------------------------------------

    def _look(self, during_load: bool) -> None:
        self._guards(during_load)
        self._mark_phase()
        self._show()

    def _guards(self, during_load: bool) -> None:
        if self.loop.interrupted:
            raise Ended
        now = time.monotonic()
        if self.options.deadline_s and now - self._started > self.options.deadline_s:
            self.journal.note(f"ended at the deadline of {self.options.deadline_s:.0f} s")
            raise Ended
        guard = self.manifest.guard
        status = self.status
        if status is not None and not guard.tripped and status.held > guard.limit_bytes:
            self.journal.update(
                guard=replace(guard, tripped=True, at_bytes=status.held, t=status.t),
            )
            raise Ended
        if self.server is not None and self.server.ended and self.manifest.launch.ready_after_s:
            if not self.server_ended_at:
                self.server_ended_at = now
                self.journal.update(
                    end=ServerEnd(self.server.status, self._current_phase(), now),
                )
            # A moment longer, so that the load shows how its connections ended.
            if not during_load or now - self.server_ended_at > 1.0:
                raise Ended

    def _mark_phase(self) -> None:
        """Tell the sampler that another phase has begun."""
        phase = self._current_phase()
        if phase in ("", self._marked) or self.sampler is None or self.sampler.ended:
            return
        self._marked = phase
        try:
            self.sampler.send(MARK)
        except WorkerFailed as failed:
            self.journal.note(f"the sampler ended early: {failed}")

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._live_last < 0.25:
            return
        self._live_last = now
        ticks = list(self.loads.ticks.values())
        responses = sum(tick.responses for tick in ticks)
        sent = sum(tick.bytes_sent for tick in ticks)
        cpu = self.status.cpu_s if self.status else 0.0
        before = self._live_before
        self._live_before = (now, responses, sent, cpu)
        span = now - before[0] if before else 1.0
        self.observer.live(
            Live(
                phase=self._current_phase(),
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

    def _current_phase(self) -> str:
        """The phase that lasts; while the load runs its workers know better."""
        current = self.journal.current
        if current != "load":
            return current
        phases = [tick.phase for tick in self.loads.ticks.values()]
        known = ("ramp", "window", "proof", "drain")
        return phases[0] if phases and phases[0] in known else "warmup"

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
        tail = log_tail(self.journal.writer.log_path)
        self.journal.update(end=replace(self.manifest.end, log_tail=tail))
        if self.status is not None and self.status.rate_hz:
            rate_hz = min(self.status.rate_hz, self.manifest.sample_rate_hz)
            self.journal.update(sampling=self.status.remarks, sample_rate_hz=rate_hz)

    def _shut_down(self) -> None:
        """End everything that was started here, in any state."""
        self.loads.close()
        if self.server is not None:
            self.server.stop()
        if self.sampler is not None:
            self.sampler.close(2.0)
            for line in self.sampler.lines():
                self._sampled(line)
            self.sampler.discard()


def _check_attached(pid: int, port: int) -> None:
    """Raises: UsageError when another process than the one named listens on the port."""
    if not psutil.pid_exists(pid):
        return
    if os.getpid() in (pid, *descendants(pid)):
        raise UsageError(
            f"PID {pid} ({psutil.Process(pid).name()}) is the process that started diagnose, or "
            "one above it: name the server's own first process"
        )
    if ports.owns_listener([pid, *descendants(pid)], port) is False:
        raise UsageError(
            f"PID {pid} ({psutil.Process(pid).name()}) does not listen on port {port}, nor does a "
            f"process below it; {ports.holder(port)} does. Its CPU and memory would say nothing "
            "about the server"
        )


def _program_name(command: tuple[str, ...]) -> str:
    """What a reader calls the server: the first word that is not `env` or a setting."""
    words = [word for word in command if word not in WRAPPERS and not SETTING.match(word)]
    return Path(words[0]).name if words else ""


def _utf8(word: str) -> str:
    """An argument as it can be written down; bytes that are not UTF-8 are replaced."""
    return os.fsencode(word).decode(errors="replace")


def _figures(result: LoadResult) -> str:
    latency = result.latency
    return (
        f"{result.rps:,.0f} right responses/s, p50 {latency.p50_s * 1e3:.2f} ms, "
        f"p99 {latency.p99_s * 1e3:.2f} ms, {result.failed} failures in {result.duration_s:.1f} s"
    )


def _profile_said(
    notes: tuple[ProfileNote, ...], measured: LoadResult, profiled: LoadResult | None
) -> str:
    parts = [
        f"{note.profiler} on PID {note.pid} ({note.runtime}): "
        + (f"{note.samples} samples at {note.rate_hz} Hz" if note.file else note.remedy)
        + (f" ({note.remark})" if note.remark else "")
        for note in notes
    ]
    if profiled is not None and measured.rps > 0:
        parts.append(f"throughput {profiled.rps / measured.rps:.2f}x of the unprofiled window")
    return "; ".join(parts) or "no busy process to profile"
