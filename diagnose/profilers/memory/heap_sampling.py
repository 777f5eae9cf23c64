"""Node by V8's sampling heap profiler: which functions made the objects that lived at the height.

The command runs below a process of ours that asks each node process again and again what lives,
by the function that made it (some 32 KiB a sample). Each look has V8 collect its garbage first, so
that only what is held counts. Buffers lie outside of V8's heap and have no function: their bytes
are told, and not whose they are.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from diagnose.model.profile import OUTSIDE_HEAP
from diagnose.profilers.inspector import CallFrame, frame
from diagnose.profilers.memory._held import Held, Wrapped, folded

RUNTIMES = ("node",)
# Any port that is free: several processes cannot all have 9229.
OPTION = "--inspect=127.0.0.1:0"
THREAD = "node"


class Node(msgspec.Struct, frozen=True):
    """A function below its callers, and the bytes of what it made itself."""

    callFrame: CallFrame
    selfSize: int = 0
    children: list[Node] = []


class Look(msgspec.Struct, frozen=True):
    """What lived in a process at a moment; buffers: bytes outside of V8's heap."""

    head: Node
    buffers: int = 0

    @property
    def weights(self) -> dict[tuple[str, ...], int]:
        """Bytes by stack, outermost function first."""
        weights: dict[tuple[str, ...], int] = {(THREAD, OUTSIDE_HEAP): self.buffers}
        waiting: list[tuple[Node, tuple[str, ...]]] = [(self.head, (THREAD,))]
        while waiting:
            node, callers = waiting.pop()
            root = node.callFrame.functionName == "(root)"
            stack = callers if root else (*callers, frame(node.callFrame))
            if node.selfSize:
                weights[stack] = weights.get(stack, 0) + node.selfSize
            waiting += [(child, stack) for child in node.children]
        return weights

    @property
    def total(self) -> int:
        """Bytes of all that lived."""
        return sum(self.weights.values())


def available() -> str:
    """'': node has its inspector built in."""
    return ""


class Profiler:
    """Looks at the heaps of all node processes of a server; the looks are below `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self._into = scratch

    def wrapped(self, command: Sequence[str], environment: Mapping[str, str]) -> Wrapped:
        """The command below the process that looks, with an inspector in each node process."""
        looking = (sys.executable, "-m", "diagnose.profilers.memory._sampled_heaps")
        options = f"{environment.get('NODE_OPTIONS', '')} {OPTION}".strip()
        return Wrapped(
            (*looking, str(self._into), *command), {**environment, "NODE_OPTIONS": options}
        )

    def collect(self) -> list[Held]:
        """What lived in each process when there was most."""
        found: list[Held] = []
        for path in sorted(self._into.glob("*.height")):
            try:
                look = msgspec.json.decode(path.read_bytes(), type=Look)
            except msgspec.MsgspecError as error:
                found.append(Held(int(path.stem), "", 0, f"V8's heap profile is none: {error}"))
                continue
            found.append(Held(int(path.stem), folded(look.weights), len(look.weights)))
        if not found:
            words = "".join(
                path.read_text(errors="replace") for path in sorted(self._into.glob("*.error"))
            )
            last = (words.strip().splitlines()[-1:] or ["no node was there long enough"])[0][:200]
            found.append(Held(-1, "", 0, f"there is no heap profile: {last}"))
        return found
