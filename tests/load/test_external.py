"""A driver's process: a script in its place, started, watched and ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from diagnose.load import external as external_module
from diagnose.load.drivers import LOG_NAME, Driver, DriverOutputError, DriverReport, Judgement
from diagnose.load.external import ExternalLoad
from diagnose.model.scenario import Scenario
from tests.builders import make_scenario

pytestmark = pytest.mark.integration

ECHO = "import sys; sys.stdout.write('responses 7\\n'); sys.stderr.write('said\\n')"
# Runs until it is interrupted, and then reports as the drivers do.
UNTIL_INTERRUPTED = """
import signal, sys
def end(*_):
    print('responses 3'); sys.exit(0)
signal.signal(signal.SIGINT, end)
print('ready', flush=True)
signal.pause()
"""
STUBBORN = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
print('ready', flush=True)
signal.pause()
"""
DEADLINE_S = 10.0


class ScriptDriver:
    """A driver whose program is the interpreter."""

    PROGRAM = "script"
    INSTALL = "it is here"

    def __init__(self, script: str, log: str = "") -> None:
        self._script, self._log = script, log
        self.asked: tuple[object, ...] = ()
        self.scratch = Path()

    def judge(self, scenario: Scenario, connections: int) -> Judgement:
        """It can send everything, after a fashion."""
        return Judgement(caveats=(f"not {connections} connections",))

    def command(
        self,
        scenario: Scenario,
        connections: int,
        duration_s: float,
        host: str,
        port: int,
        scratch: Path,
        threads: int,
    ) -> list[str]:
        """The script; its log file is written beforehand."""
        self.asked = (scenario.name, connections, duration_s, host, port, threads)
        self.scratch = scratch
        if self._log:
            (scratch / LOG_NAME).write_text(self._log)
        return [sys.executable, "-c", self._script]

    def parse(self, text: str, log: str = "") -> DriverReport:
        """The number behind the word `responses`."""
        if "responses" not in text:
            raise DriverOutputError(f"no report: {text!r}")
        count = int(text.split("responses ")[1].split()[0])
        return DriverReport(count, 2.0, {"2xx": count}, caveats=(log,) if log else ())


Start = Callable[..., tuple[ExternalLoad, ScriptDriver]]


@pytest.fixture(name="start")
def _start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts scripts as drivers; nothing of them is left in the end."""
    monkeypatch.setattr(external_module.tempfile, "tempdir", str(tmp_path))
    started: list[ExternalLoad] = []

    def start(script: str, log: str = "") -> tuple[ExternalLoad, ScriptDriver]:
        driver = ScriptDriver(script, log)
        cpus = tuple(sorted(os.sched_getaffinity(0)))[:1]
        arguments = (cast(Driver, driver), make_scenario(), 8, 2.0, "127.0.0.1", 8080, cpus)
        started.append(ExternalLoad(*arguments))
        return started[-1], driver

    yield start
    for each in started:
        each.close()
    assert list(tmp_path.iterdir()) == []


def over(load: ExternalLoad) -> None:
    """Wait for the end of the process without taking its status."""
    os.waitid(os.P_PID, load._process.pid, os.WEXITED | os.WNOWAIT)


def ready(load: ExternalLoad) -> None:
    """Wait until the script has said that it handles signals."""
    while "ready" not in load._output.read_text():
        assert not load.poll()
        os.sched_yield()


def test_what_a_driver_measured(start: Start) -> None:
    load, driver = start(ECHO, log="1\t200\t5\n")
    over(load)
    assert load.poll()
    assert load.poll()
    measured = load.result(False)
    assert driver.asked == ("baseline", 8, 2.0, "127.0.0.1", 8080, 1)
    assert load.command[0] == sys.executable
    assert (measured.generator, measured.responses, measured.connections) == ("script", 7, 8)
    assert "not 8 connections" in measured.caveats
    assert "1\t200\t5\n" in measured.caveats
    assert not measured.interrupted
    (cost,) = measured.workers
    assert cost.external
    assert cost.cpu_s > 0
    assert measured.started == load.started


def test_its_standard_error_is_part_of_its_report(start: Start) -> None:
    load, _ = start("import sys; sys.stderr.write('responses 5')")
    over(load)
    assert load.poll()
    assert load.result(False).responses == 5


def test_a_driver_that_prints_no_report(start: Start) -> None:
    load, _ = start("print('unable to connect')")
    over(load)
    assert load.poll()
    with pytest.raises(DriverOutputError, match="unable to connect"):
        load.result(False)


def test_a_driver_runs_on_the_cores_of_the_load(start: Start) -> None:
    load, _ = start(UNTIL_INTERRUPTED)
    assert os.sched_getaffinity(load._process.pid) == {min(os.sched_getaffinity(0))}
    assert os.getsid(load._process.pid) == load._process.pid


def test_an_interrupt_asks_for_the_report(start: Start) -> None:
    load, _ = start(UNTIL_INTERRUPTED)
    ready(load)
    assert not load.poll()
    load.interrupt()
    over(load)
    assert load.poll()
    measured = load.result(True)
    assert (measured.responses, measured.interrupted) == (3, True)


def test_interrupting_what_is_over_does_nothing(start: Start) -> None:
    load, _ = start(ECHO)
    over(load)
    load.interrupt()
    assert load.result(False).responses == 7


def test_a_driver_that_does_not_end_is_killed(start: Start) -> None:
    load, driver = start(STUBBORN)
    ready(load)
    load.interrupt()
    pid = load._process.pid
    load.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not driver.scratch.exists()


def test_closing_twice_is_closing_once(start: Start) -> None:
    """The recorder closes what it has measured with, and everything once more in the end."""
    load, _ = start(STUBBORN)
    ready(load)
    load.close()
    load.interrupt()
    load.close()
    assert load.poll()


def test_a_program_that_is_not_there_leaves_nothing(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError):
        start(ECHO)
    assert list(tmp_path.iterdir()) == []
