"""A candidate while it runs: started on a core, asked, measured, ended with all that it started."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks._apps import HOST
from benchmarks._peers import free_port, pinned

MIB = 1024 * 1024
START_DEADLINE = 15.0
ROOT = Path(__file__).resolve().parent.parent


class NotServing(Exception):
    """A candidate did not come up, or ended."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers; `pid` began it, and leads its session."""

    port: int
    pid: int

    def processes(self) -> list[psutil.Process]:
        """It and all that it started.

        Raises: NotServing when it is gone.
        """
        try:
            first = psutil.Process(self.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            raise NotServing("it ended while it was measured") from None

    def cpu_seconds(self) -> dict[int, float]:
        """CPU time of each process, ended threads included, in nanoseconds' steps."""
        used = {}
        for process in self.processes():
            with contextlib.suppress(OSError):
                used[process.pid] = time.clock_gettime(cpu_clock(process.pid))
        return used

    def cpu_since(self, before: dict[int, float]) -> float:
        """CPU seconds of all processes since then."""
        return sum(used - before.get(pid, 0.0) for pid, used in self.cpu_seconds().items())

    def memory(self) -> float:
        """MiB in memory; a page that several processes share counts once (PSS)."""
        total = 0
        for process in self.processes():
            with contextlib.suppress(OSError):
                rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
                total += int(re.findall(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[0])
        return total / 1024


class Cores:
    """Two cores and what runs on them, from now on."""

    def __init__(self, cores: Sequence[int]) -> None:
        self._cores = cores
        self._started = time.monotonic()
        self._busy = self._busy_seconds()
        self._own = self._own_seconds()

    def _busy_seconds(self) -> float:
        """All that was not idle, and what the hypervisor gave to others."""
        times = psutil.cpu_times(percpu=True)
        return sum(
            # A guest's time is counted in user and nice too.
            sum(one) - one.idle - one.iowait - one.guest - one.guest_nice
            for one in (times[core] for core in self._cores)
        )

    def _own_seconds(self) -> float:
        used = os.times()
        return used.user + used.system + used.children_user + used.children_system

    def foreign(self, server_s: float) -> float:
        """Cores that neither this process, nor its ended children, nor a server took.

        server_s: CPU seconds of the server.
        """
        used = self._busy_seconds() - self._busy - (self._own_seconds() - self._own) - server_s
        return max(0.0, used / (time.monotonic() - self._started))


def cpu_clock(pid: int) -> int:
    """The id of a process's CPU clock.

    Source: clock_getcpuclockid(3); Linux, include/linux/posix-timers_types.h: the complement of
    the pid above three bits, of which 2 stands for the scheduler's time of the whole process.
    """
    return (~pid << 3) | 2


def exchange(port: int, parts: Iterable[bytes]) -> bytes:
    """What one connection answers to the parts, sent 30 ms apart, within half a second."""
    reply = b""
    with socket.create_connection((HOST, port), timeout=2) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
            time.sleep(0.03)
        connection.settimeout(0.5)
        with contextlib.suppress(OSError):
            while received := connection.recv(65536):
                reply += received
                if re.search(rb"\r\n\r\n.", reply):
                    break
    return reply


def broken_promises(port: int) -> list[str]:
    """The parts of the contract that a candidate does not keep, whatever its speed."""
    target = b" /baseline11?a=13&b=42 HTTP/1.1\r\nHost: x\r\n"
    cases: dict[str, tuple[tuple[bytes, ...], bytes]] = {
        "get": ((b"GET" + target + b"\r\n",), b"55"),
        "post": ((b"POST" + target + b"Content-Length: 2\r\n\r\n20",), b"75"),
        "chunked": (
            (b"POST" + target + b"Transfer-Encoding: chunked\r\n\r\n2\r\n20\r\n0\r\n\r\n",),
            b"75",
        ),
        "fragmented": (
            (b"PO", b"ST" + target, b"Content-Length: 2\r\n\r\n", b"2", b"0"),
            b"75",
        ),
        "404": ((b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",), b" 404 "),
        "400": ((b"GET /baseline11?a=x HTTP/1.1\r\nHost: x\r\n\r\n",), b" 400 "),
    }
    broken = []
    for name, (parts, expected) in cases.items():
        try:
            reply = exchange(port, parts)
        except OSError:
            reply = b""
        right = expected in reply if expected.startswith(b" ") else reply.endswith(expected)
        if not right:
            broken.append(name)
    return broken


@contextlib.contextmanager
def running(name: str, core: int, log: Path) -> Iterator[Running]:
    """The candidate, once it answers; everything it started is gone afterwards.

    Raises: NotServing when it does not answer in time.
    """
    port = free_port()
    command = [*pinned(core), sys.executable, "-m", "benchmarks._serve", name, str(port)]
    with (
        tempfile.TemporaryDirectory(prefix="diagnose-candidate-") as home,
        log.open("ab") as output,
    ):
        output.write(f"--- {name}\n".encode())
        output.flush()
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": home},
        )
        try:
            deadline = time.monotonic() + START_DEADLINE
            while True:
                with contextlib.suppress(OSError):
                    if b" 200 " in exchange(port, (b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n",)):
                        break
                if process.poll() is not None:
                    raise NotServing(f"it ended with {process.returncode} as it started")
                if time.monotonic() > deadline:
                    raise NotServing(f"it did not answer within {START_DEADLINE:g} s")
                time.sleep(0.05)
            yield Running(port, process.pid)
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a session, also workers that their master left behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
