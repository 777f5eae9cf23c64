"""probe(): a server is launched or found, and asked one check after the other."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diagnose.errors import Interrupted, ServerFailed
from diagnose.load.validation.check import Check, Target
from diagnose.load.validation.runner import Prober
from diagnose.model.run import Launch
from diagnose.model.scenario import Scenario
from diagnose.model.validation import CheckResult, Outcome
from diagnose.plain import exit_words
from diagnose.recorder.loop import Ended, Loop
from diagnose.recorder.readying import quoted_log, wait_ready
from diagnose.server.launch import LaunchedServer, check_command, log_tail
from diagnose.server.readiness import listens

# A server opens its ports one after the other; the last may come after the first is asked.
OTHER_PORTS_S = 3.0
# The end of a server that breaks off a connection is known so much later at most.
LAST_WORDS_S = 0.1


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """What to ask of which server.

    scenario: decides what is asked until the server is ready. port: where; it is `PORT` in the
    environment. command: ports are filled in; empty where the server runs already. others: more
    ports by the name that they have in the environment. log: where its output goes.
    """

    scenario: Scenario
    checks: tuple[Check, ...]
    target: Target
    port: int
    log: Path
    command: tuple[str, ...] = ()
    others: tuple[tuple[str, int], ...] = ()
    ready_timeout_s: float = 30.0
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class ProbeEnd:
    """How it went. log_tail: the last lines of the server's output."""

    interrupted: bool
    log_tail: tuple[str, ...] = ()


def probe(options: ProbeOptions, told: Callable[[CheckResult], None]) -> ProbeEnd:
    """Make all checks, each told as soon as it was made; the server is ended if it was started.

    Raises: UsageError before anything is started; ServerFailed when the server does not get ready,
    or ends while it is asked.
    """
    return _Probing(options, told).run()


class _Probing:
    def __init__(self, options: ProbeOptions, told: Callable[[CheckResult], None]) -> None:
        self._options, self._told = options, told
        self._loop = Loop(self._look)
        self._server: LaunchedServer | None = None
        self._ready = False
        self._asked = ""

    def run(self) -> ProbeEnd:
        if self._options.command:
            check_command(self._options.command)
        with self._loop.signals():
            try:
                self._launch()
                self._ask()
            except (Ended, Interrupted):
                if not self._loop.interrupted:
                    raise ServerFailed(self._death_notice()) from None
            finally:
                if self._server is not None:
                    self._server.stop()
                self._loop.close()
        return ProbeEnd(self._loop.interrupted, log_tail(self._options.log))

    def _launch(self) -> None:
        options = self._options
        began = time.monotonic()
        if options.command:
            environment = {**os.environ, "PORT": str(options.port)}
            environment |= {name: str(port) for name, port in options.others}
            self._server = server = LaunchedServer(
                options.command, environment, options.log, sorted(os.sched_getaffinity(0))
            )
            if (warden := server.watch()) is not None:
                self._loop.listen(warden, server.heard, lambda: None)
        command = tuple(os.fsencode(word).decode(errors="replace") for word in options.command)
        wait_ready(
            self._loop,
            self._server,
            options.scenario,
            Launch(
                command=command,
                name="",
                pid=-1,
                host=options.target.address,
                port=options.port,
                attached=not command,
            ),
            options.log,
            began,
            options.ready_timeout_s,
        )
        self._ready = True
        until = time.monotonic() + OTHER_PORTS_S * bool(command)
        for port in set(options.target.ports.values()) - {options.port}:
            while not listens(options.target.address, port, OTHER_PORTS_S):
                if time.monotonic() >= until:
                    break
                self._loop.pump(time.monotonic() + 0.05)

    def _ask(self) -> None:
        options = self._options
        prober = Prober(options.target, options.timeout_s, random.Random())
        for check in options.checks:
            self._asked = check.id
            with self._loop.interruptible():
                result = prober.run(check)
            self._told(result)
            broken = result.outcome is Outcome.ERROR and not result.statuses
            last_words_s = LAST_WORDS_S if broken and self._server is not None else 0.0
            self._loop.pump(time.monotonic() + last_words_s)

    def _look(self, during_load: bool) -> None:
        ended = self._ready and self._server is not None and self._server.ended
        if self._loop.interrupted or ended:
            raise Ended

    def _death_notice(self) -> str:
        status = self._server.status if self._server is not None else None
        how = f" {exit_words(status)}" if status is not None else ""
        where = f" during the check {self._asked}" if self._asked else " before it was asked"
        return f"the server ended{how}{where}" + quoted_log(self._options.log)
