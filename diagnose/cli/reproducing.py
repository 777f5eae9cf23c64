"""Runs the commands of a reproduction, as the reader of a report would, and reads their figure."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import psutil

from diagnose.model.report import Analyzed
from diagnose.reports.bug_report import Seen, Tried
from diagnose.reports.reproduction import Recipe, recipe, script
from diagnose.server.ports import free_port

# The commands of a recipe take some 15 s; a server that hangs may hold them up.
DEADLINE_S = 90.0
# After SIGTERM, bash ends its jobs when the command that it waits for has ended.
GRACE_S = 15.0
HERE = "127.0.0.1"
REFERENCE = ("-m", "reference_server", "--port")
# Of these, everybody has the same.
_EVERYWHERE = (
    "libc.so",
    "libm.so",
    "ld-linux",
    "libdl.so",
    "libpthread.so",
    "librt.so",
    "libgcc_s",
)


def tried(item: Analyzed, repetitions: int) -> Tried:
    """The reproduction of a run, run so often (0: not at all), and once on the reference server."""
    found = recipe(item)
    if found is None or not repetitions:
        return Tried(found)
    missing = [tool for tool in ("bash", *found.tools) if shutil.which(tool) is None]
    if missing:
        return Tried(found, Seen(problem=f"{', '.join(missing)} is not installed"))
    if not found.start:
        return Tried(found, Seen(problem="the server was attached to, so it is not started here"))
    libraries: tuple[str, ...] = ()
    values: list[float] = []
    for _ in range(repetitions):
        one = recipe(item, free_port(HERE))
        assert one is not None
        seen, libraries = _run(one)
        if seen.problem:
            return Tried(found, Seen(tuple(values), seen.problem), libraries=libraries)
        values += seen.values
    return Tried(found, Seen(tuple(values)), _contrast(item), libraries)


def _contrast(item: Analyzed) -> Seen | None:
    """The reference server under the same commands; None where it has no such endpoints."""
    if not item.run.manifest.scenario.round:
        return None
    port = free_port(HERE)
    one = recipe(item, port, [sys.executable, *REFERENCE, str(port)])
    return None if one is None else _run(one)[0]


def _run(one: Recipe) -> tuple[Seen, tuple[str, ...]]:
    """The figure that the last command prints, and what the server had loaded."""
    with tempfile.TemporaryDirectory(prefix="diagnose-reproduce-") as scratch:
        loaded = Path(scratch) / "loaded"
        look = (
            'for pid in $(pgrep -g "$SERVER"); do readlink "/proc/$pid/exe"; '
            "awk '/\\.so/ {print $6}' \"/proc/$pid/maps\"; done 2> /dev/null | "
            f"sort -u > {loaded}"
        )
        text = script(replace(one, start=f"{one.start}\n{look}"), "")
        path = Path(scratch) / "reproduce.sh"
        path.write_text(text, encoding="utf-8")
        problem, out = _bash(path)
        names = loaded.read_text(errors="replace").split("\n") if loaded.exists() else []
    if problem:
        return Seen(problem=problem), libraries(names)
    lines = out.split()
    try:
        return Seen((float(lines[-1]),)), libraries(names)
    except (IndexError, ValueError):
        last = " ".join(lines[-8:]) or "nothing"
        return Seen(problem=f"the last command printed no figure but {last}"), libraries(names)


def _bash(path: Path) -> tuple[str, str]:
    """What went wrong, and what the script printed. Nothing that it started is left."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            ["bash", str(path)], stdout=out, stderr=log, stdin=subprocess.DEVNULL,
            start_new_session=True, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        problem = ""
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            problem = f"the commands did not end within {DEADLINE_S:.0f} s"
        finally:
            _end(process)
        out.seek(0)
        return problem, out.read()[-4096:].decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the script and whatever runs below it."""
    if process.poll() is not None:
        return
    below = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    for each in below:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def libraries(paths: list[str]) -> tuple[str, ...]:
    """Programs and libraries by name: Python packages by theirs, without what everybody has."""
    found: dict[str, None] = {}
    for path in paths:
        _, packages, below = path.rpartition("-packages/")
        name = below.split("/")[0].split(".")[0] if packages else Path(path).name
        if "/lib-dynload/" not in path and name and not name.startswith(_EVERYWHERE):
            found[name] = None
    return tuple(found)
