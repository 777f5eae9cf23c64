"""Profiles a node process: `python -m diagnose.profilers._inspected PID SECONDS OUT RATE`.

A process of its own, so that one that hangs can be ended. It writes the profile to OUT, and to its
standard output why there is none, or after `remark:` what the reader should know.
Source: Chrome DevTools Protocol, domains Profiler and Runtime; node's documentation of its
inspector and of SIGUSR1.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from diagnose.profilers._inspected_workers import Command, Workers
from diagnose.profilers._inspector_session import ANSWER_PATIENCE_S, Session
from diagnose.profilers._signals import handles, stopped_by_signal
from diagnose.profilers._told import REMARK, Refused, file_refused

DEFAULT_PORT = 9229
# Node's signal thread opens the inspector in milliseconds, on a busy server too.
OPEN_PATIENCE_S = 3.0
CLOSE_PATIENCE_S = 2.0
_PORT = re.compile(r"--inspect(?:-brk|-wait|-port)?=(?:.*:)?(\d+)$")
# Waits until our connection is closed: it blocks while one is open.
CLOSE = "{ const { close } = require('inspector'); setTimeout(close, 50); 'closing' }"
ANOTHER_WAY = "start node with --inspect=127.0.0.1:0 (NODE_OPTIONS does it too)"


class _Target(msgspec.Struct):
    webSocketDebuggerUrl: str = ""


class _Taken(msgspec.Struct):
    profile: msgspec.Raw


def profile(pid: int, seconds: float, out: Path, rate_hz: int) -> str:
    """Profile a process, and leave its inspector as it was; a remark, or ''.

    Raises: Refused with the remedy.
    """
    began = time.monotonic()
    stopped = stopped_by_signal()
    before = _listeners(pid)
    port = _opened_before(pid, before)
    opened = port is None
    port = _open(pid, before) if port is None else port
    remarks: list[str] = []
    session: Session | None = None
    try:
        session = Session(port, _target(port))
        commands = _commands(rate_hz, "NODE_V8_COVERAGE" not in _environment(pid))
        for method, parameters in commands:
            session.ask(method, **parameters)
        workers = Workers(session, commands)
        workers.begin()
        while not stopped and (left := began + seconds - time.monotonic()) > 0:
            session.listen(time.monotonic() + min(left, 0.05))
            workers.follow()
        main = msgspec.json.decode(session.ask("Profiler.stop"), type=_Taken)
        others = [{"name": one.name, "profile": one.profile} for one in workers.stop()]
        remarks.append(workers.remark())
        with file_refused(out):
            out.write_bytes(msgspec.json.encode({"profile": main.profile, "workers": others}))
    finally:
        if opened and not _closed(pid, port, session):
            remarks.append(
                f"the inspector stays open on 127.0.0.1:{port}: `require('inspector').close()` in "
                "the program closes it, or its restart"
            )
        if session is not None:
            session.close()
    return "; ".join(filter(None, remarks))


def joined(pid: int) -> Session | None:
    """A session with an inspector that is open; None where none is.

    Raises: Refused, OSError, HTTPException when it has no session for us.
    """
    port = _opened_before(pid, _listeners(pid))
    return None if port is None else Session(port, _target(port))


def _commands(rate_hz: int, name_inlined: bool) -> list[Command]:
    """What starts a profile in a thread.

    name_inlined: have functions that were optimized before run as they were written for some
    seconds. Samples of inlined functions have the name of their caller: one that took 60 % of the
    time had 0.3 % in our trial. Counting calls throws optimized code away; until it is optimized
    again, each function is seen by its name, and afterwards its lines tell (`inspector._inlined`).
    Source: V8, Coverage::SelectMode in src/debug/debug-coverage.cc.
    """
    commands: list[Command] = [
        ("Profiler.enable", {}),
        ("Profiler.setSamplingInterval", {"interval": round(1e6 / rate_hz)}),
        ("Profiler.start", {}),
    ]
    if name_inlined:
        commands.append(("Profiler.startPreciseCoverage", {"callCount": True, "detailed": False}))
        commands.append(("Profiler.stopPreciseCoverage", {}))
    return commands


def _listeners(pid: int) -> set[int]:
    """The TCP ports on which a process listens."""
    try:
        return {
            connection.laddr.port
            for connection in psutil.net_connections(kind="tcp")
            if connection.pid == pid
            and connection.laddr
            and connection.status == psutil.CONN_LISTEN
        }
    except psutil.Error as error:
        raise Refused(f"the sockets of PID {pid} may not be read: {error}") from error


def _opened_before(pid: int, ports: set[int]) -> int | None:
    """The port of an inspector that was opened by somebody else."""
    words = _words(pid)
    if not any(word.startswith("--inspect") for word in words):
        return DEFAULT_PORT if DEFAULT_PORT in ports else None
    named = {int(match[1]) for word in words if (match := _PORT.search(word))}
    if not named:
        return DEFAULT_PORT if DEFAULT_PORT in ports else None
    # Port 0 is a port that the system chose: the one that answers as an inspector does.
    candidates = sorted(ports) if 0 in named else sorted(ports & named)
    for port in candidates:
        with contextlib.suppress(OSError, Refused, http.client.HTTPException):
            _target(port)
            return port
    return None


def _words(pid: int) -> list[str]:
    """Options of a node process, those in NODE_OPTIONS too."""
    words: list[str] = []
    with contextlib.suppress(OSError):
        words += Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    return words + _environment(pid).get("NODE_OPTIONS", "").split()


def _environment(pid: int) -> dict[str, str]:
    """What it was started with; empty where that may not be read."""
    try:
        entries = Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0")
    except OSError:
        return {}
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


def _open(pid: int, before: set[int]) -> int:
    """SIGUSR1 opens the inspector; its port.

    Raises: Refused with the remedy.
    """
    if not handles(pid, signal.SIGUSR1):
        # The signal's default action would end the server.
        raise Refused(
            f"PID {pid} does not handle SIGUSR1 (--disable-sigusr1, or not node): {ANOTHER_WAY}"
        )
    if holder := _holder(DEFAULT_PORT, pid):
        raise Refused(_held(holder))
    try:
        os.kill(pid, signal.SIGUSR1)
    except ProcessLookupError:
        raise Refused("the process was gone") from None
    except PermissionError:
        raise Refused(
            "SIGUSR1 may not be sent: run as the user of the server, or as root"
        ) from None
    deadline = time.monotonic() + OPEN_PATIENCE_S
    while time.monotonic() < deadline:
        if opened := _listeners(pid) - before:
            return DEFAULT_PORT if DEFAULT_PORT in opened else min(opened)
        time.sleep(0.03)
    # Two workers of a server are asked at the same time, and one of them is first.
    if holder := _holder(DEFAULT_PORT, pid):
        raise Refused(_held(holder))
    raise Refused(
        f"no inspector opened within {OPEN_PATIENCE_S:.0f} s of SIGUSR1: the program handles the "
        f"signal itself, or the process may not listen; {ANOTHER_WAY}"
    )


def _held(holder: str) -> str:
    return (
        f"port {DEFAULT_PORT}, which node's inspector opens, is held by {holder}: end that "
        f"debugger, or {ANOTHER_WAY}"
    )


def _holder(port: int, pid: int) -> str:
    """Which other process listens on a loopback port; '' when none."""
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status != psutil.CONN_LISTEN or connection.pid == pid:
            continue
        if connection.laddr and connection.laddr.port == port:
            return f"PID {connection.pid}" if connection.pid else "another user's process"
    return ""


def _target(port: int) -> str:
    """The path of the session that the inspector offers.

    Raises: Refused when it offers none; OSError, HTTPException when it is no HTTP server.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_PATIENCE_S)
    try:
        connection.request("GET", "/json/list")
        body = connection.getresponse().read(1 << 16)
    finally:
        connection.close()
    try:
        offered = msgspec.json.decode(body, type=list[_Target])
    except msgspec.MsgspecError:
        offered = []
    for target in offered:
        # ws://127.0.0.1:9229/3f187f51-...
        _, mark, path = target.webSocketDebuggerUrl.removeprefix("ws://").partition("/")
        if mark:
            return f"/{path}"
    raise Refused(f"the inspector on port {port} offers no session: another debugger may have it")


def _closed(pid: int, port: int, session: Session | None) -> bool:
    """Close an inspector that we opened; whether it is."""
    try:
        session = session or Session(port, _target(port))
        # `require` is there for the console of an inspector only.
        session.ask("Runtime.evaluate", expression=CLOSE, includeCommandLineAPI=True)
        session.close()
        deadline = time.monotonic() + CLOSE_PATIENCE_S
        while time.monotonic() < deadline:
            if port not in _listeners(pid):
                return True
            time.sleep(0.05)
    except (OSError, ValueError, Refused, http.client.HTTPException):
        return not Path(f"/proc/{pid}").exists()
    return False


def main(arguments: list[str]) -> Iterator[str]:
    """What is said of PID, SECONDS, OUT and RATE."""
    pid, seconds, out, rate = arguments
    try:
        if remark := profile(int(pid), float(seconds), Path(out), int(rate)):
            yield f"{REMARK}{remark}"
    except Refused as refused:
        yield str(refused)
    except TimeoutError:
        yield (
            f"the inspector gave no answer for {ANSWER_PATIENCE_S:.0f} s: the program's event loop "
            "is blocked, or it stands at a breakpoint of another debugger"
        )
    except (OSError, ValueError, http.client.HTTPException) as error:
        yield f"the inspector cannot be used: {error}"


if __name__ == "__main__":
    for line in main(sys.argv[1:]):
        sys.stdout.write(line + "\n")
