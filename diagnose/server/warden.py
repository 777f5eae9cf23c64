"""Runs the server and outlives nothing: `python -m diagnose.server.warden`, told in lines.

The warden adopts every descendant that loses its parent (double forks, daemons), so that it can
find and end all of them, and it does so when it is told to stop and when its input ends, that is,
also when diagnose was killed. Should the warden itself be killed, the kernel kills the server.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

import msgspec

from diagnose.orphan import adopt_orphans, die_with_parent
from diagnose.process_tree import descendants


class ServerPlan(msgspec.Struct, frozen=True):
    """What to run: command with its environment, where its output goes, on which CPUs.

    Bytes, because a command line or an environment need not be UTF-8.
    """

    command: list[bytes]
    environment: dict[bytes, bytes]
    log_path: bytes
    cpus: list[int]
    grace_s: float


class WardenSays(msgspec.Struct, omit_defaults=True):
    """One line from the warden: the server started, could not start, or its first process ended.

    status: its exit status, negative for a signal. remaining: descendants that live on.
    """

    started: int | None = None
    failed: str | None = None
    status: int | None = None
    remaining: int = 0


def _say(message: WardenSays) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(1, msgspec.json.encode(message) + b"\n")


def _start(plan: ServerPlan) -> subprocess.Popen[bytes]:
    log = os.open(plan.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def prepare() -> None:
        os.sched_setaffinity(0, plan.cpus)
        die_with_parent()

    try:
        return subprocess.Popen(
            plan.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=plan.environment,
            start_new_session=True,
            preexec_fn=prepare,
        )
    finally:
        os.close(log)


def _reap(root: int) -> int | None:
    """Collect the children that have ended; the first process's status if it was among them."""
    ended = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        if pid == root:
            ended = os.waitstatus_to_exitcode(status)


def end_all(grace_s: float) -> int:
    """SIGTERM to every descendant, SIGKILL after the grace; how many had to be killed."""
    me = os.getpid()
    for pid in descendants(me):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline:
        _reap(0)
        if not descendants(me):
            return 0
        time.sleep(0.01)
    killed = 0
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        _reap(0)
        rest = descendants(me)
        if not rest:
            break
        for pid in rest:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        time.sleep(0.01)
    return killed


def main() -> int:
    """Start the server, report its end, end all of it."""
    adopt_orphans()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    asked_to_end = False

    def on_term(*_: object) -> None:
        nonlocal asked_to_end
        asked_to_end = True

    signal.signal(signal.SIGTERM, on_term)
    line = sys.stdin.buffer.readline().strip()
    plan = msgspec.msgpack.decode(bytes.fromhex(line.decode()), type=ServerPlan)
    try:
        server = _start(plan)
    except (OSError, subprocess.SubprocessError) as error:
        _say(WardenSays(failed=str(error)))
        return 1
    root = server.pid
    _say(WardenSays(started=root))
    while not asked_to_end:
        ready, _, _ = select.select([0, reader], [], [], 1.0)
        if reader in ready:
            os.read(reader, 4096)
        status = _reap(root)
        if status is not None:
            server.returncode = status
            _say(WardenSays(status=status, remaining=len(descendants(os.getpid()))))
        if 0 in ready and (not (line := os.read(0, 4096)) or b"stop" in line):
            break
    end_all(plan.grace_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
