"""Native servers by their page faults: which functions touched memory for the first time.

A page of anonymous memory is given when it is first written to: a fault is memory that the process
takes, with the stack that took it. What an allocator gives out again costs none; what it gave back
to the kernel and takes anew counts again. perf starts the command, and records each 64th fault.
Source: perf_event_open(2), PERF_COUNT_SW_PAGE_FAULTS.
"""

from __future__ import annotations

import re
import resource
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from diagnose.profilers import _perf_script
from diagnose.profilers.memory._held import Held, Wrapped, folded, run

RUNTIMES = ("native", "nginx", "rust", "go", "ocaml")
# A sample stands for 256 KiB: a gigabyte is 4096 samples, and 16 MB to write.
PERIOD = 64
# The stack that allocates is that of a request, and not deep.
STACK_BYTES = 4096
READ_TIMEOUT_S = 60.0
DATA = "page_faults.data"
FIELDS = "comm,pid,period,ip,sym,dso"
MIN_FAULTS = 40
# "my-server  4243        64": the thread's name, the process, how many faults it stands for.
_HEAD = re.compile(r"^(\S.*?)\s+(\d+)\s+(\d+)\s*$")


def available() -> str:
    """'' when perf is installed, else what to do."""
    if shutil.which("perf"):
        return ""
    return "perf is not installed: apt-get install linux-perf"


class Profiler:
    """perf around a command; its file is below `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self._data = scratch / DATA

    def wrapped(self, command: Sequence[str], environment: Mapping[str, str]) -> Wrapped:
        """The command below perf, without huge pages."""
        recorded = (
            *(sys.executable, "-m", "diagnose.profilers.memory._small_pages"),
            *("perf", "record", "--event", "page-faults", "--count", str(PERIOD)),
            *("--call-graph", f"dwarf,{STACK_BYTES}", "--output", str(self._data), "--"),
        )
        return Wrapped((*recorded, *command), dict(environment))

    def collect(self) -> list[Held]:
        """What each process touched, by stack."""
        if not self._data.exists():
            return [Held(-1, "", 0, "perf recorded no page faults: may it, for this user?")]
        text, why = run(_perf_script.arguments(self._data, FIELDS), READ_TIMEOUT_S)
        self._data.unlink()
        if why:
            return [Held(-1, "", 0, f"perf's page faults cannot be read: {why}")]
        touched = parse(text)
        found = [
            Held(pid, folded(weights), faults)
            for pid, (weights, faults) in sorted(touched.items())
            if faults >= MIN_FAULTS
        ]
        most = max((faults for _, faults in touched.values()), default=0)
        return found or [Held(-1, "", most, f"only {most} page faults were recorded")]


def parse(text: str) -> dict[int, tuple[dict[tuple[str, ...], int], int]]:
    """Bytes by stack, thread name and outermost function first, of each process; and the number of
    samples. Functions of the kernel are left out: they fault for the call that is below them."""
    page = resource.getpagesize()
    weights: dict[int, Counter[tuple[str, ...]]] = {}
    samples: Counter[int] = Counter()
    for head, frames in _perf_script.blocks(text):
        match = _HEAD.match(head)
        own = [frame.text for frame in reversed(frames) if not frame.kernel]
        if match is None or not own:
            continue
        pid = int(match[2])
        stack = (match[1].replace(";", ":"), *own)
        weights.setdefault(pid, Counter())[stack] += int(match[3]) * page
        samples[pid] += 1
    return {pid: (dict(counted), samples[pid]) for pid, counted in weights.items()}
