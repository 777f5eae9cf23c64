"""What works here, found by doing it: profilers on a busy child, packets on the loopback device.

Settings of the kernel do not tell enough: a container's filter of system calls, a security module
or a missing capability refuses what they allow. A profiler of a run is the sibling of the server
that it attaches to, and so it is here.
"""

from __future__ import annotations

import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from diagnose.server.doctor.facts import Attempt, Trials

# It ends by itself should we be killed meanwhile.
CHILD = """
import time
print(flush=True)
end = time.monotonic() + 15
while time.monotonic() < end:
    pass
"""
PERF_S = 0.2
# Starting perf takes a second on a small machine.
TIMEOUT_S = 6.0
# The first socket on the machine that asks for stamps has none at once: a work item turns them on.
# Source: Linux, net/core/dev.c, net_enable_timestamp.
STAMPS_WITHIN_S = 1.0
SO_TIMESTAMPNS = 35
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR = 2
_TCP_LISTEN = 1 << 10
_PERF_SAMPLES = re.compile(r"\((\d+) samples\)")


def run(tracked: Callable[[], None] = lambda: None) -> Trials:
    """Try everything; never raises. `tracked` is called while a connection of ours is open."""
    perf, py_spy = _profilers()
    loopback, timestamps = _loopback(tracked)
    return Trials(perf, py_spy, loopback, timestamps, _sock_diag())


def _profilers() -> tuple[Attempt, Attempt]:
    perf_program = shutil.which("perf")
    beside = Path(sys.executable).with_name("py-spy")
    py_spy_program = str(beside) if beside.exists() else shutil.which("py-spy")
    try:
        child = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", CHILD],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        failed = Attempt(None, f"no child could be started: {error.strerror}")
        return failed, failed
    try:
        assert child.stdout is not None
        child.stdout.readline()
        py_spy = Attempt(None, "py-spy is not installed")
        if py_spy_program:
            py_spy = judge_py_spy(*_said([py_spy_program, "dump", "--pid", str(child.pid)]))
        perf = Attempt(None, "perf is not on PATH")
        if perf_program:
            with tempfile.TemporaryDirectory(prefix="diagnose-doctor-") as folder:
                perf = judge_perf(*_said(_perf(perf_program, child.pid, Path(folder))))
    except OSError as error:
        perf = py_spy = Attempt(None, str(error.strerror))
    finally:
        child.kill()
        child.communicate()
    return perf, py_spy


def _perf(program: str, pid: int, folder: Path) -> list[str]:
    # Not `--no-buildid`: perf counts its samples while it collects the build ids.
    return [
        *(program, "record", "--event", "cpu-clock", "--freq", "99", "-g", "--no-buildid-cache"),
        *("--pid", str(pid), "--output", str(folder / "perf.data"), "--", "sleep", str(PERF_S)),
    ]


def _said(command: Sequence[str]) -> tuple[int, str]:
    """Exit status and words of a program; status 124, as timeout(1) has it, when it hangs."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, f"not over after {TIMEOUT_S:.0f} s"
    return done.returncode, done.stdout.decode(errors="replace")


def judge_perf(status: int, said: str) -> Attempt:
    """perf worked if it says how many samples it has of the busy child."""
    match = _PERF_SAMPLES.search(said)
    if match and int(match[1]):
        return Attempt(True, f"{match[1]} samples")
    return Attempt(False, _reason(status, said))


def judge_py_spy(status: int, said: str) -> Attempt:
    """py-spy worked if it shows a stack: its exit status is 1 for nearly everything."""
    if re.search(r"^Thread ", said, re.MULTILINE):
        return Attempt(True, "stack read")
    return Attempt(False, _reason(status, said))


def _reason(status: int, said: str) -> str:
    """The line that says why, of all that a program says; the first where none is known."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    known = ("ermission", "not permitted", "No such process", "Failed", "rror")
    for word in known:
        for line in lines:
            if word in line:
                return line[:160]
    return lines[0][:160] if lines else f"it ended with status {status} and said nothing"


def _loopback(tracked: Callable[[], None]) -> tuple[Attempt, Attempt]:
    """A connection to ourselves, and whether the kernel says when a byte of it arrived."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(TIMEOUT_S)
            with socket.create_connection(listener.getsockname(), TIMEOUT_S) as client:
                server, _ = listener.accept()
                with server:
                    tracked()
                    return Attempt(True), _timestamps(client, server)
    except OSError as error:
        return Attempt(False, f"127.0.0.1: {error.strerror or error}"), Attempt(None)


def _timestamps(client: socket.socket, server: socket.socket) -> Attempt:
    try:
        server.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        server.settimeout(TIMEOUT_S)
        end = time.monotonic() + STAMPS_WITHIN_S
        told = False
        while not told and time.monotonic() < end:
            client.sendall(b"x")
            _, ancillary, _, _ = server.recvmsg(16, 128)
            told = any(kind == SO_TIMESTAMPNS for _, kind, _ in ancillary)
            if not told:
                time.sleep(0.01)
    except OSError as error:
        return Attempt(False, str(error.strerror or error))
    return Attempt(told, "" if told else "the kernel accepts the option and gives no time")


def _sock_diag() -> Attempt:
    """A dump of the listening sockets. Source: sock_diag(7), linux/inet_diag.h."""
    request = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _TCP_LISTEN)
    request += bytes(48)
    header = struct.pack(
        "=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0
    )
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
            netlink.settimeout(TIMEOUT_S)
            netlink.send(header + request)
            reply = netlink.recv(1 << 17)
    except OSError as error:
        return Attempt(False, str(error.strerror or error))
    return judge_sock_diag(reply)


def judge_sock_diag(reply: bytes) -> Attempt:
    """The kernel answers with sockets or the end of them; an error code means that it does not."""
    if len(reply) < 16:
        return Attempt(False, f"an answer of {len(reply)} bytes")
    _, kind = struct.unpack_from("=IH", reply)
    if kind == _NLMSG_ERROR and len(reply) >= 20:
        (code,) = struct.unpack_from("=i", reply, 16)
        return Attempt(False, f"the kernel answers with error {-code}")
    return Attempt(True)
