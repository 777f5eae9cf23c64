"""Stacks of all threads of a CPython process, idle ones too, by `py-spy dump`.

One look stops the process for some milliseconds (15 ms for 17 threads, start of py-spy included).
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import msgspec

from diagnose.profilers.off_cpu.dumped import Dumped

RUNTIMES = ("cpython",)
# With fewer looks there is no share to tell of.
FEWEST_LOOKS = 5


class _Frame(msgspec.Struct):
    name: str
    filename: str = ""
    line: int = 0


class _Thread(msgspec.Struct):
    frames: list[_Frame]
    thread_name: str | None = None
    os_thread_id: int | None = None
    owns_gil: bool = False


def available() -> str:
    """'' when py-spy is installed, else what to do."""
    return "" if _program() else "py-spy is not installed: pip install py-spy"


def command(pid: int) -> list[str]:
    """Look once."""
    return [_program() or "py-spy", "dump", "--json", "--pid", str(pid)]


def parse(text: str) -> tuple[Dumped, ...]:
    """The threads of a dump.

    Raises: ValueError when the text is none.
    """
    try:
        threads = msgspec.json.decode(text, type=list[_Thread])
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a dump: {error}") from error
    return tuple(
        Dumped(
            tid=thread.os_thread_id or 0,
            name=thread.thread_name or "thread",
            frames=tuple(
                f"{frame.name} ({frame.filename}:{frame.line})" for frame in reversed(thread.frames)
            ),
            holds_lock=thread.owns_gil,
        )
        for thread in threads
    )


def remedy(said: str) -> str:
    """What to do where a dump failed, from what py-spy said."""
    if "Permission denied" in said or "Operation not permitted" in said:
        return (
            "py-spy may not read the process: run as the same user with "
            "`sysctl -w kernel.yama.ptrace_scope=0`, or as root"
        )
    if "Failed to find python version" in said:
        return "py-spy does not know this interpreter"
    last = said.strip().splitlines()[-1:] or ["it said nothing"]
    return f"py-spy gave no stacks: {last[0][:200]}"


def _program() -> str | None:
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")
