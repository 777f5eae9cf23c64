"""Runs a server and counts the objects of its JVMs: `... _counted_classes INTO COMMAND...`.

For each JVM the histogram with the least bytes and that with the most are kept, INTO/PID.least and
INTO/PID.most. It ends when the server ends, with its status.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from diagnose.process_tree import descendants
from diagnose.profilers._signals import handles
from diagnose.profilers._told import Refused
from diagnose.profilers.memory._held import run
from diagnose.profilers.memory.class_histogram import LEAST, MOST

# A look takes half a second of a core for jcmd, and a collection of the whole heap.
PAUSE_S = 0.1
TIMEOUT_S = 10.0
_TOTAL = re.compile(r"^Total\s+\d+\s+(\d+)", re.MULTILINE)


def total(histogram: str) -> int | None:
    """Bytes of all objects; None when the histogram is not whole."""
    match = _TOTAL.search(histogram)
    return int(match[1]) if match else None


def keep(into: Path, pid: int, histogram: str) -> None:
    """The histogram stays when there was none with less, or none with more."""
    size = total(histogram)
    if size is None:
        return
    for name, sign in ((LEAST, -1), (MOST, 1)):
        path = into / f"{pid}.{name}"
        before = total(path.read_text()) if path.exists() else None
        if before is None or sign * (size - before) > 0:
            whole = path.with_suffix(".writing")
            whole.write_text(histogram)
            whole.replace(path)


def machines() -> list[int]:
    """The JVMs below this process that can be asked."""
    found = []
    for pid in descendants(os.getpid()):
        try:
            # jcmd sends SIGQUIT to a JVM that nobody has attached to before: when it is up.
            if "/libjvm.so" in Path(f"/proc/{pid}/maps").read_text() and handles(
                pid, signal.SIGQUIT
            ):
                found.append(pid)
        except (OSError, Refused):
            continue
    return found


def main(into: Path, command: list[str]) -> int:
    """The status of the command."""
    server = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    while server.poll() is None:
        for pid in machines():
            histogram, why = run(["jcmd", str(pid), "GC.class_histogram"], TIMEOUT_S)
            if why and server.poll() is None:
                (into / f"{pid}.error").write_text(why)
            keep(into, pid, histogram)
        time.sleep(PAUSE_S)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
