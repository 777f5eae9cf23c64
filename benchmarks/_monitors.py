"""Programs that watch a process, and processes to be watched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks._peers import Listening
from diagnose.model.samples import Sample
from diagnose.sampling.protocol import MARK, SamplerPlan

RATE_HZ = 20.0
# Opening files and finding processes is over by then.
SETTLE_S = 1.0
# One thread of eight runs for a moment, fifty times a second; the others sleep on a lock.
TARGET = """import resource, socket, sys, threading, time
threads, sockets = int(sys.argv[1]), int(sys.argv[2])
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
kept = []
for _ in range(sockets // 2):
    kept.append(socket.create_connection(listener.getsockname()))
    kept.append(listener.accept()[0])
lock = threading.Lock()
lock.acquire()
def work():
    while True:
        time.sleep(0.02)
for number in range(threads - 1):
    target = work if number % 8 == 0 else lock.acquire
    threading.Thread(target=target, daemon=True).start()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""
# What a monitor written with psutil reads, as often as asked for; its CPU seconds of each turn.
PSUTIL = """import sys, time
import psutil
pid, rate, seconds, parts = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
process = psutil.Process(pid)
def turn():
    with process.oneshot():
        process.cpu_times(), process.memory_info(), process.num_threads()
        process.io_counters(), process.num_ctx_switches()
    process.num_fds(), process.children(recursive=True), psutil.cpu_times(percpu=True)
    if "threads" in parts:
        process.threads()
    if "sockets" in parts:
        process.net_connections(kind="tcp")
turn()
began, cpu, turns = time.monotonic(), time.process_time(), 0
due = began
while time.monotonic() - began < seconds:
    turn()
    turns += 1
    due = max(due + 1 / rate, time.monotonic())
    time.sleep(max(0.0, due - time.monotonic()))
print((time.process_time() - cpu) / (time.monotonic() - began), turns / (time.monotonic() - began))
"""


@dataclass(frozen=True)
class Watched:
    """What a monitor used in cores, and how many samples it took a second.

    threads_hz, sockets_hz: how often it read all threads and all sockets.
    """

    cores: float
    rate_hz: float
    threads_hz: float = 0.0
    sockets_hz: float = 0.0

    @property
    def per_sample_s(self) -> float:
        """CPU seconds for each sample."""
        return self.cores / self.rate_hz


@contextmanager
def target(threads: int, sockets: int) -> Iterator[Listening]:
    """A process with so many threads, and so many connected sockets of a port of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", TARGET, str(threads), str(sockets)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield Listening(int(process.stdout.readline()), process.pid)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def sampler(pid: int, port: int, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Our sampler on a process, writing to a file; its status lines are not read."""
    process = subprocess.Popen(
        [sys.executable, "-m", "diagnose.sampling.sampler"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    plan = SamplerPlan(pid, True, port, str(path), RATE_HZ, reset_peaks=True)
    process.stdin.write(msgspec.json.encode(plan) + b"\n")
    process.stdin.flush()
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait()


def watch_ours(watched: Listening, seconds: float) -> Watched:
    """Our sampler, by the CPU time that it notes in each sample: all of its process."""
    with tempfile.TemporaryDirectory(prefix="diagnose-samples-") as home:
        path = Path(home) / "samples.jsonl"
        with sampler(watched.pid, watched.port, path) as process:
            assert process.stdin is not None
            time.sleep(SETTLE_S)
            process.stdin.write(MARK + b"\n")
            process.stdin.flush()
            time.sleep(seconds)
        decode = msgspec.json.Decoder(Sample).decode
        samples = [decode(line) for line in path.read_bytes().splitlines()]
    samples = [sample for sample in samples if sample.t >= samples[-1].t - seconds]
    first, last = samples[0], samples[-1]
    span = last.t - first.t
    threads = sum(any(process.threads for process in sample.processes) for sample in samples[1:])
    sockets = sum(sample.sockets is not None for sample in samples[1:])
    return Watched(
        (last.cpu_s - first.cpu_s) / span,
        (len(samples) - 1) / span,
        threads / span,
        sockets / span,
    )


def watch_psutil(watched: Listening, seconds: float, parts: str) -> Watched:
    """A loop over psutil's calls; parts: `threads`, `sockets`, both or none, beside the rest.

    Raises: SystemExit when it failed.
    """
    command = [sys.executable, "-c", PSUTIL, str(watched.pid), str(RATE_HZ), str(seconds), parts]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the psutil loop failed:\n{done.stderr}")
    cores, rate_hz = map(float, done.stdout.split())
    return Watched(
        cores,
        rate_hz,
        rate_hz if "threads" in parts else 0.0,
        rate_hz if "sockets" in parts else 0.0,
    )


def _find_psrecord() -> str | None:
    return shutil.which("psrecord") or shutil.which("psrecord", path=Path(sys.executable).parent)


def _psrecord(pid: int, seconds: float) -> tuple[float, int]:
    """CPU seconds of a whole run of psrecord, and the samples that it wrote."""
    with tempfile.TemporaryDirectory(prefix="diagnose-psrecord-") as home:
        log = Path(home) / "log"
        options = ["--interval", str(1 / RATE_HZ), "--duration", str(seconds), "--log", str(log)]
        command = [_find_psrecord() or "psrecord", str(pid), *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"psrecord ended with {process.returncode}")
        return usage.ru_utime + usage.ru_stime, len(log.read_text().splitlines()) - 1


def watch_psrecord(watched: Listening, seconds: float) -> Watched:
    """psrecord, less a short run of it: its start cancels out. It reads CPU and memory only.

    Raises: SystemExit when it failed.
    """
    start_s, start_samples = _psrecord(watched.pid, SETTLE_S)
    cpu_s, samples = _psrecord(watched.pid, SETTLE_S + seconds)
    return Watched((cpu_s - start_s) / seconds, (samples - start_samples) / seconds)


def has_psrecord() -> bool:
    """It is on PATH, or beside this Python; else one line says so."""
    if _find_psrecord():
        return True
    print("psrecord: not installed (pip install psrecord)", flush=True)
    return False
