"""CPython by memray: which lines held the memory when a process held most of it.

memray is started in every Python process of the server by Python itself (`hook/`), so that forked
and spawned workers are seen, and the command stays as it is. Objects below 512 bytes come from
Python's own pools, whose arenas are what is counted.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from diagnose.profilers.memory._held import Held, Wrapped, run

RUNTIMES = ("cpython",)
HOOK = Path(__file__).with_name("hook")
READ_TIMEOUT_S = 60.0
INSTALL = "memray is not installed: pip install 'httparena-diagnose[memory]'"


def available() -> str:
    """'' when memray is installed beside diagnose, which reads its files, else what to do."""
    return "" if importlib.util.find_spec("memray") is not None else INSTALL


class Profiler:
    """memray in all Python processes of a server; its files are below `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self._into = scratch

    def wrapped(self, command: Sequence[str], environment: Mapping[str, str]) -> Wrapped:
        """The same command, with the hook on Python's path."""
        paths = [str(HOOK), *filter(None, [environment.get("PYTHONPATH", "")])]
        spec = importlib.util.find_spec("memray")
        ours = str(Path(spec.origin).parents[1]) if spec and spec.origin else ""
        changed = {
            **environment,
            "PYTHONPATH": ":".join(paths),
            "DIAGNOSE_MEMRAY_INTO": str(self._into),
            "DIAGNOSE_MEMRAY_FROM": ours,
        }
        return Wrapped(tuple(command), changed)

    def collect(self) -> list[Held]:
        """The processes that held memory at their own high-water mark."""
        found: list[Held] = []
        for path in sorted(self._into.glob("*.bin*")):
            pid = int(path.name.rpartition(".")[2].replace("bin", "") or path.name.split(".")[0])
            reader = [sys.executable, "-m", "diagnose.profilers.memory._memray_read", str(path)]
            text, why = run(reader, READ_TIMEOUT_S)
            if why:
                found.append(Held(pid, "", 0, f"memray's file could not be read: {why}"))
            else:
                found.append(Held(pid, text, text.count("\n")))
        for path in sorted(self._into.glob("*.error")):
            words = path.read_text(encoding="utf-8", errors="replace")
            remedy = f"memray did not start ({words}): install memray in the server's environment"
            found.append(Held(int(path.name.partition(".")[0]), "", 0, remedy))
        if not found:
            remedy = (
                "memray was started in no process: is it CPython, and does it read PYTHONPATH (not "
                "with -I, -E or -S)?"
            )
            found.append(Held(-1, "", 0, remedy))
        return found
