"""Stacks of all Java threads of a JVM by `jcmd PID Thread.print`.

The JVM stops its threads for a moment; jcmd itself is a JVM and takes some tenths of a second of
CPU to start. Source: the thread dump's format as HotSpot 11 to 21 print it.
"""

from __future__ import annotations

import re
import shutil

from diagnose.profilers.off_cpu.dumped import Dumped

RUNTIMES = ("jvm",)
# With fewer looks there is no share to tell of.
FEWEST_LOOKS = 2
_HEAD = re.compile(r'^"(.*)" .*\bnid=(0x[0-9a-f]+|\d+)')
_FRAME = re.compile(r"^\s+at (?:[^ /]*/)?([^ (]+)\(([^)]*)\)")


def available() -> str:
    """'' when jcmd is installed, else what to do."""
    if shutil.which("jcmd"):
        return ""
    return "jcmd is not installed: it comes with a JDK (apt-get install default-jdk-headless)"


def command(pid: int) -> list[str]:
    """Look once."""
    return ["jcmd", str(pid), "Thread.print"]


def parse(text: str) -> tuple[Dumped, ...]:
    """The threads of a dump that run Java code; those of the JVM itself have no frames.

    Raises: ValueError when the text is none.
    """
    threads: list[Dumped] = []
    tid, name = 0, ""
    frames: list[str] = []
    for line in [*text.splitlines(), '"" nid=0']:
        if head := _HEAD.match(line):
            if frames:
                threads.append(Dumped(tid, name, tuple(reversed(frames))))
            tid, name, frames = int(head[2], 0), head[1], []
        elif frame := _FRAME.match(line):
            frames.append(f"{frame[1]} ({frame[2]})")
    if not threads:
        raise ValueError("no Java threads in it")
    return tuple(threads)


def remedy(said: str) -> str:
    """What to do where a dump failed, from what jcmd said."""
    if "Operation not permitted" in said or "well-known file" in said:
        return "jcmd may not attach: run as the user of the JVM (and not with its attach disabled)"
    last = said.strip().splitlines()[-1:] or ["it said nothing"]
    return f"jcmd gave no stacks: {last[0][:200]}"
