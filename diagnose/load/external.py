"""A driver's process: started, watched, its output and its CPU time taken."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from diagnose.load.drivers import LOG_NAME, Driver, DriverReport, result
from diagnose.model.load import LoadResult
from diagnose.model.scenario import Scenario


class ExternalLoad:
    """One measurement by a driver. `poll` until it is over, then `result`, then `close`."""

    def __init__(
        self,
        driver: Driver,
        scenario: Scenario,
        connections: int,
        duration_s: float,
        host: str,
        port: int,
        cpus: Sequence[int],
    ) -> None:
        self._driver, self._scenario, self._connections = driver, scenario, connections
        self._scratch = Path(tempfile.mkdtemp(prefix="diagnose-driver-"))
        try:
            self.command = driver.command(
                scenario, connections, duration_s, host, port, self._scratch, len(cpus)
            )
            self._output = self._scratch / "output"
            with self._output.open("wb") as output:
                self.started = time.monotonic()
                self._process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except BaseException:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        os.sched_setaffinity(self._process.pid, cpus)
        self._ended = 0.0
        self._cpu_s = 0.0

    def poll(self) -> bool:
        """Whether the process is over."""
        if self._ended:
            return True
        pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        if pid == 0:
            return False
        self._ended = time.monotonic()
        self._cpu_s = usage.ru_utime + usage.ru_stime
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return True

    def interrupt(self) -> None:
        """Ask it to end and to report what it has."""
        if not self.poll():
            self._process.send_signal(signal.SIGINT)

    def result(self, interrupted: bool) -> LoadResult:
        """What it measured. interrupted: the user broke it off.

        Raises: DriverOutputError when it printed no report.
        """
        text = self._output.read_text(errors="replace")
        log = self._scratch / LOG_NAME
        report: DriverReport = self._driver.parse(
            text, log.read_text(errors="replace") if log.exists() else ""
        )
        measured = result(
            report,
            self._scenario,
            self._connections,
            self._ended - self.started,
            self._cpu_s,
            self.started,
            self._driver.judge(self._scenario, self._connections).caveats,
            self._driver.PROGRAM,
        )
        return replace(measured, interrupted=interrupted)

    def close(self) -> None:
        """End the process if it still runs, and remove what it wrote."""
        deadline = time.monotonic() + 1.0
        while not self.poll() and time.monotonic() < deadline:
            time.sleep(0.02)
        if not self.poll():
            self._process.kill()
            self._process.wait()
            self._ended = time.monotonic()
        shutil.rmtree(self._scratch, ignore_errors=True)
