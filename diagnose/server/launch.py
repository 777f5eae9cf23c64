"""The server as the recorder sees it: started here or attached to, alive or ended."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import msgspec
import psutil

from diagnose.child import Child
from diagnose.errors import ServerFailed, UsageError, WorkerFailed
from diagnose.server.warden import ServerPlan, WardenSays

GRACE_S = 3.0
LOG_LINES = 20
# Of a line that is kept: its beginning tells what kind it is.
LINE_CHARACTERS = 240
_PORT = re.compile(r"(?<!\$)\$(?:((?:[A-Z0-9]+_)?PORT)\b|\{((?:[A-Z0-9]+_)?PORT)\})")


class Server(Protocol):
    """What the recorder needs of a server."""

    pid: int
    sample_root: int
    include_root: bool

    @property
    def status(self) -> int | None:
        """The exit status of its first process; None while it runs or where it is not known."""

    @property
    def ended(self) -> bool:
        """Nothing of it is left running."""

    def watch(self) -> Child | None:
        """The process whose lines tell of the server's end; hand its lines to `heard`."""

    def heard(self, line: bytes) -> None:
        """A line of `watch`."""

    def stop(self) -> None:
        """End it if it was started here. May be called twice."""


def expand(
    command: Sequence[str], port: int, others: Mapping[str, int] = MappingProxyType({})
) -> list[str]:
    """The command with `$PORT` and `${PORT}` replaced; other dollar signs are left alone.

    others: more ports by name, like TLS_PORT.
    """
    known = {"PORT": port, **others}
    return [
        _PORT.sub(lambda match: str(known.get(match[1] or match[2], match[0])), word)
        for word in command
    ]


def names_port(command: Sequence[str], name: str) -> bool:
    """`$NAME` or `${NAME}` stands in the command."""
    return expand(command, 0, {name: 0}) != expand(command, 0)


def check_command(command: Sequence[str]) -> None:
    """Raises: UsageError when the program cannot be found or is not executable."""
    program = command[0]
    if shutil.which(program) is not None:
        return
    path = Path(program)
    if path.is_dir():
        raise UsageError(f"cannot run {program!r}: it is a directory")
    if path.exists() and os.access(path, os.X_OK):
        raise UsageError(f"cannot run {program!r}: it is not on PATH; write ./{program}")
    if path.exists():
        raise UsageError(
            f"cannot run {program}: it is not executable; `chmod +x {program}`, or name its "
            "interpreter first"
        )
    where = "no such file" if os.sep in program else "it is not on PATH"
    raise UsageError(
        f"cannot run {program!r}: {where}. The command stands behind `--`, program first, and is "
        "not given to a shell (write `sh -c '...'` where you need one)"
    )


def log_tail(path: Path, lines: int = LOG_LINES) -> tuple[str, ...]:
    """The last lines of the server's output; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 64 * 1024))
            text = file.read().decode(errors="replace")
    except OSError:
        return ()
    return tuple(text.splitlines()[-lines:])


def log_head(path: Path, lines: int) -> tuple[str, ...]:
    """The first lines of the server's output, shortened; empty when there is none."""
    try:
        with path.open("rb") as file:
            text = file.read(64 * 1024).decode(errors="replace")
    except OSError:
        return ()
    return tuple(line[:LINE_CHARACTERS] for line in text.splitlines()[:lines])


class LaunchedServer:
    """A server in a session of its own, below a warden that ends it whatever happens.

    Raises: ServerFailed when it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        cpus: Sequence[int],
    ) -> None:
        self.log = log
        self._warden = Child("diagnose.server.warden")
        self.sample_root = self._warden.pid
        self.include_root = False
        self._status: int | None = None
        self._remaining = 1
        self.pid = -1
        plan = ServerPlan(
            [os.fsencode(word) for word in command],
            {os.fsencode(name): os.fsencode(value) for name, value in environment.items()},
            os.fsencode(log),
            list(cpus),
            GRACE_S,
        )
        try:
            self._warden.send(msgspec.msgpack.encode(plan).hex().encode())
            os.set_blocking(self._warden.fileno(), True)
            data = os.read(self._warden.fileno(), 1 << 16)
            os.set_blocking(self._warden.fileno(), False)
            if not data:
                raise WorkerFailed(self._warden.last_words())
            for line in data.splitlines():
                self.heard(line)
        except BaseException:
            self.stop()
            raise

    def heard(self, line: bytes) -> None:
        """Raises: ServerFailed when the server could not be started."""
        says = msgspec.json.decode(line, type=WardenSays)
        if says.failed is not None:
            raise ServerFailed(f"the server could not be started: {says.failed}")
        if says.started is not None:
            self.pid = says.started
        if says.status is not None:
            self._status = says.status
            self._remaining = says.remaining

    @property
    def status(self) -> int | None:
        """The exit status of its first process; None while it runs."""
        return self._status

    @property
    def ended(self) -> bool:
        """Its first process has ended and left nothing behind (a daemon lives on)."""
        return self._status is not None and self._remaining == 0

    def watch(self) -> Child | None:
        """The warden."""
        return self._warden

    def stop(self) -> None:
        """End all of it."""
        self._warden.close(GRACE_S + 12.0)
        self._warden.discard()


class AttachedServer:
    """A server that ran before and runs on.

    Raises: UsageError when there is no such process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = self.sample_root = pid
        self.include_root = True
        try:
            self._process = psutil.Process(pid)
        except (psutil.NoSuchProcess, ValueError) as error:
            raise UsageError(f"no process with PID {pid}; `ss -ltnp` lists listeners") from error

    @property
    def status(self) -> int | None:
        """Not known: it is not our child."""
        return None

    @property
    def ended(self) -> bool:
        """The process is gone."""
        try:
            return not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def watch(self) -> Child | None:
        """Nothing tells of its end."""
        return None

    def heard(self, line: bytes) -> None:
        """Never called."""

    def stop(self) -> None:
        """It is not ours to stop."""
