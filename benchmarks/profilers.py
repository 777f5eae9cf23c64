"""Whether profiles tell the truth, and what taking them costs.

`python -m benchmarks.profilers [--servers SUBSTRING] [--seconds 10] [--how launched|attached]`
runs servers in which three functions take 60, 30 and 10 % of the CPU time (benchmarks/_split.py)
under `diagnose run` and `diagnose attach`, and prints which shares the profiles give them: of all
samples that the profiler made for the runtime has, with the function anywhere on the stack.

`python -m benchmarks.profilers --overhead [--pairs 90] [--servers nginx|uvicorn]` prints throughput
with a profiler over that without: one unbroken load in legs of two seconds, A B B A, perf on nginx
and py-spy on uvicorn, the server on CPU 0 and the load worker on CPU 1. The first 0.6 s of a leg,
in which a profiler starts or writes, is left out of both kinds. Trimmed mean of the pairs' ratios,
with a bootstrap interval.

nginx is not among the servers with a known split: it has no such functions.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks._ours import run_with_ticks
from benchmarks._peers import Listening, allow_descriptors, end_in_order, free_port, nginx
from benchmarks._rows import Row, get_plan
from benchmarks._serving import end, running
from benchmarks._split import SERVERS, SPLIT, Server
from benchmarks._tools import installed
from benchmarks.sampling import CLIENT_CPU, bootstrap, leg_order, served_at, trimmed_mean
from diagnose.model.load import LoadTick
from diagnose.profilers import perf, py_spy
from diagnose.profilers._collected import Collected
from diagnose.server.launch import expand
from diagnose.store.reader import parse_folded

ROOT = Path(__file__).resolve().parent.parent
HOWS = ("launched", "attached")
# Requests take 14 ms: the server's one thread is busy, and the load takes a hundredth of a core.
CONNECTIONS = 4
# A JVM and V8 have compiled the functions after some dozen requests.
WARMUP_S = 2
READY_S = 15.0
ALLOWED_POINTS = 5.0
LOAD = Row("keep-alive, 64 connections", 64)
LEG_S = 2.0
# py-spy needs 0.3 s to start, perf some hundredths to write.
LEG_HEAD_S = 0.6
LEG_TAIL_S = 0.1
ALLOWED_RATIO = 0.97


# -- shares ----------------------------------------------------------------------------------------


def diagnosed(server: Server, how: str, seconds: float, home: Path) -> Path:
    """The directory of a run of diagnose.

    Raises: SystemExit when there is none.
    """
    command = server.built(home)
    runs = home / "runs"
    port = free_port()
    options = [
        *("--path", "/", "-c", str(CONNECTIONS), "-d", "1", "--warmup", str(WARMUP_S)),
        *("--idle", "0.3", "--cooldown", "0.3", "--profile-duration", str(seconds)),
        *("--no-report", "--json", "-o", str(runs)),
    ]
    program = [sys.executable, "-m", "diagnose"]
    if how == "launched":
        words = [*program, "run", "get", *options, "--port", str(port), "--", *command]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    else:
        with serving(expand(command, port), port) as pid:
            url = f"http://127.0.0.1:{port}"
            words = [*program, "attach", "get", *options, "--pid", str(pid), "--url", url]
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    found = list(runs.glob("*/run.json"))
    if len(found) != 1:
        raise SystemExit(f"{server.name}, {how}: no run\n{done.stderr}")
    return found[0].parent


@contextmanager
def serving(command: Sequence[str], port: int) -> Iterator[int]:
    """The process id of a server that answers; all that it started is ended afterwards.

    Raises: SystemExit when it does not answer in time.
    """
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + READY_S
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)} does not listen on port {port}")
            time.sleep(0.05)
        yield process.pid
    finally:
        end(process)


def listens(port: int) -> bool:
    """A socket listens on a port; it is not asked, because a server may take one at a time.

    Source: proc(5), /proc/net/tcp: local address in hexadecimal, state 0A is LISTEN.
    """
    wanted = f":{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()
    lines += Path("/proc/net/tcp6").read_text().splitlines()
    rows = [line.split() for line in lines[1:]]
    return any(row[1].endswith(wanted) and row[3] == "0A" for row in rows if len(row) > 3)


def share_row(server: Server, how: str, seconds: float) -> str:
    """A line of the table."""
    with tempfile.TemporaryDirectory(prefix="diagnose-split-") as home:
        directory = diagnosed(server, how, seconds, Path(home))
        manifest = json.loads((directory / "run.json").read_text())
        notes = manifest["profiles"]
        # The first is the profiler that is made for the runtime; perf beside it comes after.
        name = notes[0]["profiler"] if notes else "none"
        mine = [note for note in notes if note["profiler"] == name]
        stacks = [
            stack
            for note in mine
            if note["file"]
            for stack in parse_folded((directory / "profiles" / note["file"]).read_text())
        ]
    runtimes = set(manifest["launch"]["runtimes"].values())
    wrong = "" if server.runtime in runtimes else f"taken for {', '.join(sorted(runtimes))}; "
    weight = sum(count for _, count in stacks)
    cells = [server.name, how, f"{name}, {mine[0]['rate_hz']} Hz" if mine else name]
    if not weight:
        why = "; ".join(note["remedy"] for note in mine) or "no profile"
        return f"| {' | '.join([*cells, '-', '-', '-', '-', '-', wrong + why])} |"
    shares = {
        function: sum(
            count for frames, count in stacks if any(function in frame for frame in frames)
        )
        / weight
        for function in SPLIT
    }
    off = max(abs(shares[function] - share) for function, share in SPLIT.items()) * 100
    remarks = {note["remark"] for note in mine if note.get("remark")}
    cells += [f"{share:.1%}" for share in shares.values()]
    cells.append(f"{off:.1f}" if off <= ALLOWED_POINTS else f"**{off:.1f}**")
    cells.append(f"{weight}, {sum(note['errors'] for note in mine)}")
    cells.append(wrong + "; ".join(sorted(remarks)))
    return f"| {' | '.join(cells)} |"


def shares(options: argparse.Namespace) -> None:
    """Print what the profiles say of each server."""
    print(
        f"\nProfiles of {options.seconds:g} s; more than {ALLOWED_POINTS:g} points off in bold.\n\n"
        "| server | how | profiler | 60 % | 30 % | 10 % | largest deviation, points "
        "| samples, lost | |\n|---|---|---|---:|---:|---:|---:|---:|---|",
        flush=True,
    )
    for server in SERVERS:
        if options.servers.lower() not in server.name.lower():
            continue
        if missing := server.missing():
            print(f"| {server.name} | not installed: {missing} | | | | | | | |", flush=True)
            continue
        for how in HOWS:
            if options.how in ("", how):
                print(share_row(server, how, options.seconds), flush=True)


# -- overhead --------------------------------------------------------------------------------------


class _Profiled:
    """Starts a profiler at the beginning of each leg that has one."""

    def __init__(
        self, module: Any, pid: int, runtime: str, legs: Sequence[bool], home: str
    ) -> None:
        self._module = module
        self._pid = pid
        self._runtime = runtime
        self._legs = legs
        self._out = Path(home) / "out"
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: subprocess.Popen[bytes] | None = None
        self.moments: list[float] = []

    def at(self, now: float) -> None:
        """A leg may be over; when it began is noted, and when the last one ended."""
        number = len(self.moments)
        if number > len(self._legs) or (number and now < self.moments[0] + number * LEG_S):
            return
        self.end()
        if number < len(self._legs) and self._legs[number]:
            # Longer than the leg: it is interrupted at the leg's end, as Ctrl-C does.
            command = self._module.command(self._pid, self._runtime, 2 * LEG_S, self._out)
            self._process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        self.moments.append(now)

    def end(self) -> None:
        """Interrupt the profiler; it writes its file in the head of the next leg."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._ended, self._process = self._process, None

    def samples(self) -> int:
        """Of the last leg with a profiler, which shows that it did its work."""
        self.end()
        if self._ended is not None:
            self._ended.wait()
        collected: Collected = self._module.collect(self._out, "")
        return collected.samples


def overhead_row(name: str, module: Any, server: Listening, runtime: str, pairs: int) -> str:
    """A line of the table."""
    legs = leg_order(pairs)
    ticks: list[LoadTick] = []
    with tempfile.TemporaryDirectory(prefix="diagnose-overhead-") as home:
        profiled = _Profiled(module, server.pid, runtime, legs, home)

        def heard(tick: LoadTick) -> None:
            if tick.phase == "window":
                ticks.append(tick)
                profiled.at(time.monotonic())

        try:
            plan = get_plan(LOAD, server.port, (len(legs) + 1) * LEG_S)
            run_with_ticks(plan, CLIENT_CPU, heard)
        finally:
            samples = profiled.samples()
    rates: dict[bool, list[float]] = {True: [], False: []}
    for on, began in zip(legs, profiled.moments[:-1], strict=True):
        start, stop = began + LEG_HEAD_S, began + LEG_S - LEG_TAIL_S
        rates[on].append((served_at(ticks, stop) - served_at(ticks, start)) / (stop - start))
    logs = [math.log(on / off) for on, off in zip(rates[True], rates[False], strict=True)]
    low, high = bootstrap(logs)
    mean = trimmed_mean(logs)
    met = "yes" if low >= math.log(ALLOWED_RATIO) else "NO"
    if low < math.log(ALLOWED_RATIO) <= high:
        met = "undecided"
    return (
        f"| {name}, {module.RATE_HZ} Hz | {statistics.median(rates[False]):,.0f} | {len(logs)} "
        f"| {math.exp(mean):.3f} | {math.exp(low):.3f} - {math.exp(high):.3f} | {met} "
        f"| {samples} |"
    )


def overhead(options: argparse.Namespace) -> None:
    """Print what the profilers cost."""
    print(
        f"\n{LOAD.name}.\n\n"
        "| profiler | requests/s without | pairs | with / without | 95 % interval "
        f"| at least {ALLOWED_RATIO} | samples in a leg |\n|---|---:|---:|---:|---|---|---:|",
        flush=True,
    )
    allow_descriptors()
    if options.servers in "nginx" and installed(["nginx", "perf"]):
        with nginx(LOAD) as server:
            (worker,) = psutil.Process(server.pid).children()
            server = Listening(server.port, worker.pid)
            print(overhead_row("perf on nginx", perf, server, "nginx", options.pairs), flush=True)
    if options.servers not in "uvicorn":
        return
    with (
        tempfile.NamedTemporaryFile(prefix="diagnose-log-") as log,
        running("uvicorn", 0, Path(log.name)) as candidate,
    ):
        server = Listening(candidate.port, candidate.pid)
        row = overhead_row("py-spy on uvicorn", py_spy, server, "cpython", options.pairs)
        print(row, flush=True)


def main() -> None:
    """Print one of the tables."""
    end_in_order()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", default="", help="only servers with this in their name")
    parser.add_argument("--how", default="", choices=("", *HOWS))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--overhead", action="store_true")
    parser.add_argument("--pairs", type=int, default=90, help="pairs of legs, four seconds each")
    options = parser.parse_args()
    if options.overhead:
        overhead(options)
    else:
        shares(options)


if __name__ == "__main__":
    main()
