"""Other load generators: their commands for a row, and what their reports say."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks._peers import pinned
from benchmarks._rows import Row

# wrk sends the batch, waits for all its answers, and sends the next one. `request` must be a global
# of the script: wrk does not see a local one, and then sends one request after the other.
PIPELINE_SCRIPT = """local batch
function init(arguments)
  batch = string.rep(wrk.format("GET", "{target}"), {depth})
end
function request() return batch end
"""
# Long enough for wrk to open 4096 connections.
SHORT_S = 0.3
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_TIME = r"([\d.]+)(us|ms|s|m)\b"


@dataclass(frozen=True)
class ToolRun:
    """What a tool reports of a run, and the CPU seconds of its whole process (wait4).

    mean_s: the mean latency that it reports; nan where it reports none.
    """

    requests: int
    wall_s: float
    cpu_s: float
    mean_s: float = float("nan")

    @property
    def per_cpu_second(self) -> float:
        """Requests for each CPU second."""
        return self.requests / self.cpu_s


@dataclass(frozen=True)
class Corrected:
    """A run, and a short run of the same tool just before it."""

    whole: ToolRun
    start: ToolRun

    @property
    def per_cpu_second(self) -> float:
        """Requests for each CPU second of the difference: start-up and connecting cancel out."""
        requests = self.whole.requests - self.start.requests
        return requests / (self.whole.cpu_s - self.start.cpu_s)


def _run(command: list[str], cpu: int, interrupt_after: float | None = None) -> tuple[str, float]:
    """The output of a command on a CPU, and its CPU seconds.

    Raises: SystemExit when it fails.
    """
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([*pinned(cpu), *command], stdout=output, stderr=output)
        if interrupt_after is not None:
            time.sleep(interrupt_after)
            process.send_signal(signal.SIGINT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{text}")
    return text, usage.ru_utime + usage.ru_stime


def _found(pattern: str, text: str) -> re.Match[str]:
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"cannot read this report ({pattern}):\n{text}")
    return match


def _seconds(value: str, unit: str) -> float:
    return float(value) * _UNITS[unit]


def wrk(row: Row, port: int, seconds: int, cpu: int, short: bool = False) -> ToolRun:
    """A run of wrk; `short`: interrupted just after its start.

    Raises: SystemExit when it saw an error.
    """
    length = 60 if short else seconds
    command = ["wrk", "-t1", f"-c{row.connections}", f"-d{length}s"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if row.pipeline > 1:
            script.write(PIPELINE_SCRIPT.format(depth=row.pipeline, target=row.target))
            script.flush()
            command += ["-s", script.name]
        url = f"http://127.0.0.1:{port}{row.target}"
        text, cpu_s = _run([*command, url], cpu, SHORT_S if short else None)
    if "Socket errors" in text or "Non-2xx" in text:
        raise SystemExit(f"wrk saw errors:\n{text}")
    requests = _found(rf"(\d+) requests in {_TIME}", text)
    mean = _found(rf"Latency\s+{_TIME}", text)
    return ToolRun(
        int(requests[1]), _seconds(requests[2], requests[3]), cpu_s, _seconds(mean[1], mean[2])
    )


def h2load(
    row: Row, port: int, seconds: int, cpu: int, short: bool = False, warmup: int = 0
) -> ToolRun:
    """A run of h2load over HTTP/1.1; `short`: as many requests as can be in flight at once.

    warmup: seconds of load that it leaves out of its counts, though not of its CPU time.

    Raises: SystemExit when a request failed.
    """
    length = ["-n", str(row.connections * row.pipeline)] if short else ["-D", str(seconds)]
    if warmup:
        length.append(f"--warm-up-time={warmup}")
    command = ["h2load", "--h1", "-t1", f"-c{row.connections}", f"-m{row.pipeline}", *length]
    text, cpu_s = _run([*command, f"http://127.0.0.1:{port}{row.target}"], cpu)
    requests = _found(r"(\d+) succeeded, (\d+) failed, (\d+) errored", text)
    if (requests[2], requests[3]) != ("0", "0"):
        raise SystemExit(f"h2load saw errors:\n{text}")
    # The time that it finished in has the warm-up in it, the rate has not.
    rate = _found(r"finished in \S+, ([\d.]+) req/s", text)
    mean = _found(rf"time for request:\s+\S+\s+\S+\s+{_TIME}", text)
    served = int(requests[1])
    return ToolRun(served, served / float(rate[1]), cpu_s, _seconds(mean[1], mean[2]))


def gcannon(row: Row, port: int, seconds: int, cpu: int, short: bool = False) -> ToolRun:
    """A run of gcannon; `short`: its shortest, one second.

    Raises: SystemExit when it saw an error.
    """
    length = 1 if short else seconds
    command = ["gcannon", f"http://127.0.0.1:{port}{row.target}", "-t", "1", "-d", f"{length}s"]
    command += ["-c", str(row.connections), "-p", str(row.pipeline)]
    if row.client_closes:
        command += ["-r", str(row.client_closes)]
    text, cpu_s = _run(command, cpu)
    answers = _found(rf"\d+ requests in {_TIME}, (\d+) responses", text)
    good = _found(r"2xx=(\d+)", text)
    errors = _found(r"Errors: connect (\d+), read (\d+), timeout (\d+)", text)
    if good[1] != answers[3] or any(count != "0" for count in errors.groups()):
        raise SystemExit(f"gcannon saw errors:\n{text}")
    mean = _found(rf"Latency\s+{_TIME}", text)
    return ToolRun(
        int(answers[3]), _seconds(answers[1], answers[2]), cpu_s, _seconds(mean[1], mean[2])
    )


RunTool = Callable[..., ToolRun]
TOOLS: dict[str, RunTool] = {"wrk": wrk, "h2load": h2load, "gcannon": gcannon}


def run_corrected(tool: str, row: Row, port: int, seconds: int, cpu: int) -> Corrected:
    """A short run of a tool and a whole one.

    Raises: SystemExit when the tool saw an error.
    """
    run = TOOLS[tool]
    start = run(row, port, seconds, cpu, short=True)
    return Corrected(run(row, port, seconds, cpu), start)


def installed(names: list[str]) -> list[str]:
    """Those that are on PATH, and one line for each that is not."""
    present = []
    for name in names:
        if shutil.which(name) is None:
            print(f"{name}: not installed", flush=True)
        else:
            present.append(name)
    return present
