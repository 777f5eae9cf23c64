"""The JVM by its class histogram: which objects there were more of when there were most of them.

The command runs below a process of ours that asks the JVM again and again how many objects of each
class live (`jcmd PID GC.class_histogram`). Each look has the JVM collect its garbage first, so that
only what is held counts.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from diagnose.profilers.memory._held import Held, Wrapped, folded

RUNTIMES = ("jvm",)
LEAST, MOST = "least", "most"
_ROW = re.compile(r"^\s*\d+:\s+(\d+)\s+(\d+)\s+(\S+)", re.MULTILINE)
_PRIMITIVES = {
    "B": "byte",
    "C": "char",
    "D": "double",
    "F": "float",
    "I": "int",
    "J": "long",
    "S": "short",
    "Z": "boolean",
}


def available() -> str:
    """'' when jcmd is installed, else what to do."""
    if shutil.which("jcmd"):
        return ""
    return "jcmd is not installed: it comes with a JDK (apt-get install default-jdk-headless)"


class Profiler:
    """Looks at the heaps of all JVMs of a server; the histograms are below `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self._into = scratch

    def wrapped(self, command: Sequence[str], environment: Mapping[str, str]) -> Wrapped:
        """The command below the process that looks."""
        looking = (sys.executable, "-m", "diagnose.profilers.memory._counted_classes")
        return Wrapped((*looking, str(self._into), *command), dict(environment))

    def collect(self) -> list[Held]:
        """What each JVM had more of when its objects took most memory than when they took least."""
        found: list[Held] = []
        for path in sorted(self._into.glob(f"*.{MOST}")):
            least = parse(path.with_suffix(f".{LEAST}").read_text(errors="replace"))
            most = parse(path.read_text(errors="replace"))
            grown: dict[tuple[str, ...], int] = {
                ("live objects", name): size - least.get(name, 0) for name, size in most.items()
            }
            found.append(Held(int(path.stem), folded(grown), len(most)))
        if not found:
            words = "".join(
                path.read_text(errors="replace") for path in sorted(self._into.glob("*.error"))
            )
            last = (words.strip().splitlines()[-1:] or ["no JVM was there long enough"])[0][:200]
            found.append(Held(-1, "", 0, f"jcmd gave no class histogram: {last}"))
        return found


def parse(text: str) -> dict[str, int]:
    """Bytes of live objects by class, of a whole histogram; empty when its end is missing.

    Source: JDK 17, `jcmd PID help GC.class_histogram`; names of arrays as Class.getName has them.
    """
    if "\nTotal " not in text:
        return {}
    sizes: dict[str, int] = {}
    for _, size, name in _ROW.findall(text):
        sizes[class_name(name)] = sizes.get(class_name(name), 0) + int(size)
    return sizes


def class_name(name: str) -> str:
    """`byte[]` for `[B`, `java.lang.Object[][]` for `[[Ljava.lang.Object;`."""
    element = name.lstrip("[")
    depth = len(name) - len(element)
    if depth:
        element = _PRIMITIVES.get(element, element.removeprefix("L").removesuffix(";"))
    return element + "[]" * depth
