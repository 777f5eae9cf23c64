"""Runs a server and samples the heaps of its node processes: `... _sampled_heaps INTO COMMAND...`.

For each process the look with the most bytes is kept, INTO/PID.height. It ends when the server
ends, with its status.
Source: Chrome DevTools Protocol, HeapProfiler.startSampling, getSamplingProfile.
"""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from diagnose.process_tree import descendants
from diagnose.profilers import _inspected
from diagnose.profilers._inspector_session import Session
from diagnose.profilers._told import Refused
from diagnose.profilers.memory.heap_sampling import Look, Node

PAUSE_S = 0.1
# V8's own default: the chance of a byte to be a sample's is one in so many.
SAMPLE_BYTES = 32768
BUFFERS = "process.memoryUsage().arrayBuffers"


class _Sampled(msgspec.Struct):
    head: Node


class _Profile(msgspec.Struct):
    profile: _Sampled


class _Value(msgspec.Struct):
    value: int = 0


class _Evaluated(msgspec.Struct):
    result: _Value = msgspec.field(default_factory=_Value)


class Heap:
    """The heap of one process, and the height that was seen in it."""

    def __init__(self, pid: int, session: Session, into: Path) -> None:
        self._pid = pid
        self._session = session
        self._into = into
        self._height = -1
        session.ask("HeapProfiler.enable")
        session.ask("HeapProfiler.startSampling", samplingInterval=SAMPLE_BYTES)

    def look(self) -> None:
        """Keep what lives now, where that is more than ever."""
        buffers = msgspec.json.decode(
            self._session.ask("Runtime.evaluate", expression=BUFFERS, returnByValue=True),
            type=_Evaluated,
        )
        sampled = msgspec.json.decode(
            self._session.ask("HeapProfiler.getSamplingProfile"), type=_Profile
        )
        look = Look(sampled.profile.head, buffers.result.value)
        if (total := look.total) > self._height:
            self._height = total
            path = self._into / f"{self._pid}.height"
            whole = path.with_suffix(".writing")
            whole.write_bytes(msgspec.json.encode(look))
            whole.replace(path)


def connected(pid: int, into: Path) -> Heap | None:
    """The heap of a process; None when it has no inspector (yet)."""
    session = _inspected.joined(pid)
    return None if session is None else Heap(pid, session, into)


def follow(
    heaps: dict[int, Heap | None],
    pids: list[int],
    into: Path,
    connect: Callable[[int, Path], Heap | None] = connected,
) -> None:
    """Look at each process once; one that cannot be looked at is not asked again."""
    for pid in pids:
        try:
            if pid not in heaps:
                heap = connect(pid, into)
                if heap is None:
                    continue
                heaps[pid] = heap
            if (known := heaps[pid]) is not None:
                known.look()
        except (OSError, ValueError, Refused, http.client.HTTPException) as error:
            # A process that ended has said what it had to.
            heaps[pid] = None
            if Path(f"/proc/{pid}").exists():
                (into / f"{pid}.error").write_text(str(error))


def main(into: Path, command: list[str]) -> int:
    """The status of the command."""
    server = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    heaps: dict[int, Heap | None] = {}
    while server.poll() is None:
        follow(heaps, [server.pid, *descendants(server.pid)], into)
        time.sleep(PAUSE_S)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
