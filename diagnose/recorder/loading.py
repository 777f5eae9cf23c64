"""The load of a run: how many workers it takes, its phases, and its result, stored at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from diagnose.child import Child
from diagnose.errors import DiagnoseError, UsageError, WorkerFailed
from diagnose.load import drivers
from diagnose.load.external import ExternalLoad
from diagnose.load.pool import LoadPool
from diagnose.model.load import LoadPlan, LoadResult, LoadTick
from diagnose.model.scenario import Protocol, Scenario
from diagnose.recorder.journal import Journal
from diagnose.recorder.loop import Loop
from diagnose.recorder.options import RunOptions
from diagnose.server import host as host_room

TRIAL_S = 0.6
# Connections are established before a server accepts them, and it may take memory for each: a look
# at it before the first request.
CONNECT_LOOK_S = 0.25
REOPEN_S = 0.25
# Long enough for some samples of memory and sockets while all bodies are held.
WAVE_LOOK_S = 0.6
REPORT_PATIENCE_S = 5.0
# A driver starts, opens its connections and prints beyond its measurement.
DRIVER_PATIENCE_S = 5.0
MIN_DRIVER_WARMUP_S = 1.0
# With less of a core to spare one more worker has nothing to run on. Less than that of idle time is
# what two sides that wait for each other leave anyway.
FREE_CORES = 0.1
DEFAULT_H2_DRIVER = "h2load"


class Loads:
    """The loads of one run: the measured one, and the same again for profiles."""

    def __init__(self, options: RunOptions, journal: Journal, loop: Loop) -> None:
        self._options = options
        self._journal = journal
        self._loop = loop
        self._pools: list[LoadPool] = []
        self._external: ExternalLoad | None = None
        self._driver = chosen_driver(options)
        self.ticks: dict[int, LoadTick] = {}
        self._most = most_workers(options, journal.manifest.host.load_cpus)
        self._workers = options.load_workers or fewest_workers(options, self._most)

    @property
    def _scenario(self) -> Scenario:
        return self._options.scenario

    # -- the measured load -----------------------------------------------------------------------

    def measure(self, standing: Callable[[], str]) -> LoadResult | None:
        """Connect, warm up, measure, drain; the result is stored before anything else happens.

        Raises: WorkerFailed, Ended.
        """
        if self._driver is not None:
            return self._measure_external(self._driver)
        scenario = self._scenario
        plan = self._plan(
            scenario.warmup_s, scenario.duration_s, max(3.0, scenario.timeout_s + 1.0)
        )
        pool = self._opened(plan, standing)
        result: LoadResult | None = None
        try:
            with self._journal.phase("load"):
                pool.command(b"go")
                longest = scenario.ramp_s + plan.warmup_s + plan.duration_s + plan.drain_s
                self._loop.pump(
                    time.monotonic() + longest + REPORT_PATIENCE_S,
                    lambda: pool.finished,
                    during_load=True,
                )
        finally:
            result = self._collect(pool)
            self._close(pool)
        return result

    def _opened(self, plan: LoadPlan, standing: Callable[[], str]) -> LoadPool:
        """A pool with all its connections and as many workers as the load needs: one at first,
        more while they are the limit and the cores of the load are not busy."""
        while True:
            pool = self.start(plan, self._workers)
            try:
                enough = self._prepared(pool, plan, standing)
            except BaseException:
                self._collect(pool)
                self._close(pool)
                raise
            if enough:
                return pool
            pool.command(b"quit")
            self._leave(pool)
            # The server has to see that connections were closed before it gets as many again: one
            # that limits them would turn away the first ones otherwise, not the last.
            self._loop.pump(time.monotonic() + REOPEN_S)
            self._workers = min(self._most, self._workers * 2)

    def _leave(self, pool: LoadPool) -> None:
        """Let workers that were told to quit end."""
        self._loop.pump(time.monotonic() + 3.0, lambda: pool.gone)
        self._close(pool)

    def _prepared(self, pool: LoadPool, plan: LoadPlan, standing: Callable[[], str]) -> bool:
        """Connect, wave, trial; whether these workers are enough."""
        with self._journal.phase("connect") as said:
            self._loop.pump(time.monotonic() + plan.connect_s + 10.0, lambda: pool.ready)
            if plan.scenario.ramp_s:
                said.append(f"opened during the load, over {plan.scenario.ramp_s:g} s")
            else:
                self._loop.pump(time.monotonic() + CONNECT_LOOK_S)
                said.append(f"{pool.established} of {plan.total_connections} connections")
        if self._scenario.has_large_bodies and not self._scenario.send_rate:
            with self._journal.phase("wave") as said:
                said.append(self._wave(pool, plan, standing))
        if self._options.load_workers or self._workers >= self._most or plan.scenario.ramp_s:
            return True
        with self._journal.phase("trial") as said:
            cpus = self._journal.manifest.host.load_cpus
            before = _idle_seconds(cpus)
            began = time.monotonic()
            pool.command(b"trial")
            self._loop.pump(began + plan.trial_s + 5.0, lambda: pool.tried, during_load=True)
            free = (_idle_seconds(cpus) - before) / (time.monotonic() - began)
            more = pool.at_its_limit and free >= FREE_CORES
            count = self._workers
            said.append(f"{_workers(count)}: {_trial_words(pool.at_its_limit, more)}")
        return not more

    def _wave(self, pool: LoadPool, plan: LoadPlan, standing: Callable[[], str]) -> str:
        """Every body in flight at once: what the server then holds, it holds for all of them."""
        pool.command(b"wave")
        self._loop.pump(time.monotonic() + plan.wave_s + 5.0, lambda: pool.waved, during_load=True)
        self._loop.pump(time.monotonic() + WAVE_LOOK_S, during_load=True)
        return f"{pool.held} of {plan.total_connections} bodies in flight; {standing()}"

    def _collect(self, pool: LoadPool) -> LoadResult | None:
        """The workers' reports, asked for early if need be; stored."""
        if not pool.finished:
            try:
                pool.command(b"stop")
                self._loop.pump_unguarded(
                    time.monotonic() + REPORT_PATIENCE_S, lambda: pool.finished
                )
            except (WorkerFailed, OSError) as error:
                self._journal.note(f"a load worker gave no report: {error}")
        result = pool.result()
        if result is not None:
            self._store(result)
        return result

    def _store(self, result: LoadResult) -> None:
        self._journal.writer.load(result)
        self._journal.split_load(
            result.started, result.started + result.duration_s, result.proof_s, result.drain_s
        )

    # -- a driver's load -------------------------------------------------------------------------

    def _measure_external(self, driver: drivers.Driver) -> LoadResult | None:
        scenario = self._scenario
        with self._journal.phase("warmup"):
            self._run_external(driver, max(MIN_DRIVER_WARMUP_S, scenario.warmup_s))
        with self._journal.phase("load"):
            result = self._run_external(driver, scenario.duration_s)
        if result is not None:
            self._store(result)
        return result

    def _run_external(self, driver: drivers.Driver, seconds: float) -> LoadResult | None:
        launch, host = self._journal.manifest.launch, self._journal.manifest.host
        self._external = external = ExternalLoad(
            driver,
            self._scenario,
            self._options.connections,
            seconds,
            launch.host,
            launch.port,
            host.load_cpus,
        )
        try:
            self._loop.pump(
                time.monotonic() + self._scenario.warmup_s + seconds + DRIVER_PATIENCE_S,
                external.poll,
                during_load=True,
            )
        finally:
            if not external.poll():
                external.interrupt()
                self._loop.pump_unguarded(time.monotonic() + 3.0, external.poll)
            over = external.poll()
            try:
                result = external.result(self._loop.interrupted) if over else None
            except DiagnoseError:
                if not self._loop.interrupted:
                    raise
                result = None
            finally:
                external.close()
        if result is None and not self._loop.interrupted:
            raise WorkerFailed(
                f"{driver.PROGRAM} did not end {DRIVER_PATIENCE_S:.0f} s after its time; its "
                f"command was: {' '.join(external.command)}"
            )
        return result

    # -- the same load again ---------------------------------------------------------------------

    def again(self, settle_s: float, seconds: float) -> LoadPool:
        """The same load by our own workers, connected; for what must not touch the figures."""
        plan = replace(self._plan(settle_s, seconds, 3.0), spin_probe=False)
        pool = self.start(plan, self._workers)
        self._loop.pump(time.monotonic() + plan.connect_s + 10.0, lambda: pool.ready)
        return pool

    def finish(self, pool: LoadPool) -> LoadResult | None:
        """End a load that was started by `again`; its result is not stored."""
        if not pool.finished:
            pool.command(b"stop")
            self._loop.pump_unguarded(time.monotonic() + 2.0, lambda: pool.finished)
        result = pool.result()
        self._close(pool)
        return result

    @property
    def repeatable(self) -> bool:
        """Our own workers can send this scenario."""
        return self._scenario.protocol is not Protocol.H2

    # -- workers ---------------------------------------------------------------------------------

    def start(self, plan: LoadPlan, workers: int) -> LoadPool:
        """A pool on the cores of the load."""
        host = self._journal.manifest.host
        pool = LoadPool(plan, workers, host.load_cpus)
        self._pools.append(pool)
        self.ticks.clear()
        for child in pool.children:
            self._loop.listen(
                child, partial(self._heard, pool, child), partial(pool.check_alive, child)
            )
        return pool

    def _plan(self, warmup_s: float, duration_s: float, drain_s: float) -> LoadPlan:
        launch = self._journal.manifest.launch
        sources, per_source = host_room.sources(launch.host, self._options.connections)
        return LoadPlan(
            address=launch.host,
            port=launch.port,
            scenario=self._scenario,
            total_connections=self._options.connections,
            first=0,
            step=1,
            warmup_s=warmup_s,
            duration_s=duration_s,
            drain_s=drain_s,
            # A backlog of ordinary size takes 64 at once; tens of thousands need their time.
            connect_s=max(5.0, self._options.connections / 2000),
            trial_s=TRIAL_S,
            sources=sources,
            per_source=per_source,
        )

    def _heard(self, pool: LoadPool, child: Child, line: bytes) -> None:
        tick = pool.heard(child, line)
        if tick is not None:
            self._journal.writer.tick(tick)
            self.ticks[tick.worker] = tick

    def _close(self, pool: LoadPool) -> None:
        pool.close()
        self._loop.forget(pool.children)

    def close(self) -> None:
        """End everything that was started here, in any state."""
        if self._external is not None:
            self._external.interrupt()
            self._external.close()
        for pool in self._pools:
            if any(not child.ended for child in pool.children):
                pool.close(0.2)


def chosen_driver(options: RunOptions) -> drivers.Driver | None:
    """The driver that was asked for, or that the protocol needs; None for our own engine.

    Raises: UsageError when it is not there, or cannot send the scenario.
    """
    name = options.driver
    scenario = options.scenario
    if not name and scenario.protocol is Protocol.H2:
        name = DEFAULT_H2_DRIVER
    if not name or name == "diagnose":
        if scenario.protocol is Protocol.H2:
            raise UsageError(
                f"the embedded engine speaks HTTP/1.1, not the HTTP/2 of {scenario.name}: leave "
                f"--driver out, or use --driver {DEFAULT_H2_DRIVER}"
            )
        return None
    driver = drivers.driver(name)
    if problem := drivers.missing(driver):
        raise UsageError(problem)
    if refusal := driver.judge(scenario, options.connections).refusal:
        raise UsageError(f"{name} cannot send {scenario.name}: {refusal}")
    return driver


def most_workers(options: RunOptions, load_cpus: tuple[int, ...]) -> int:
    """Workers that can be of use: one for each core of the load, and for each connection."""
    wanted = options.load_workers or max(
        len(load_cpus), host_room.workers_for_descriptors(options.connections)
    )
    return max(1, min(wanted, options.connections))


def fewest_workers(options: RunOptions, most: int) -> int:
    """Workers to start with: one, unless it could not hold all connections."""
    return min(most, host_room.workers_for_descriptors(options.connections))


def _workers(count: int) -> str:
    return f"{count} load worker{'s' if count > 1 else ''}"


def _trial_words(at_its_limit: bool, more: bool) -> str:
    if more:
        return "at the limit, and cores are free: more workers"
    return "at the limit, but no core is free" if at_its_limit else "enough"


def _idle_seconds(cpus: tuple[int, ...]) -> float:
    """Seconds for which these cores were idle since the system started."""
    busy, total = host_room.core_times(cpus)
    return total - busy
