"""Records a process by perf with stacks that can be followed: `... _perf_recorded PID SECONDS OUT`.

Compilers leave frame pointers out (-O2), and then a stack by frame pointers is its innermost
function and chance. Whether a server's are there is not told by its own code alone: libraries count
too. So a short probe under load is recorded with frame pointers, which cost nothing, and where too
many of its stacks do not reach their root, the rest is recorded with debug information
(`.eh_frame`, which is there without -g): perf copies a part of the stack with each sample.

A process of its own, so that one that hangs can be ended. perf's words go to its standard output,
and after `remark:` how stacks were taken.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from diagnose.orphan import die_with_parent
from diagnose.profilers import _perf_script, perf
from diagnose.profilers._told import REMARK

PROBE_S = 0.3
# Some 150 samples of a busy core.
PROBE_HZ = 499
PROBE_READ_S = 5.0
# Fewer tell nothing. A server that uses so little CPU time is not disturbed by debug information.
PROBE_SAMPLES = 20
# Code with frame pointers loses the beginning of a stack in some functions of libc, which has none:
# a tenth of the samples at the most in our trials; without them it was over nine tenths.
MOST_TRUNCATED = 0.25
FEWEST_S = 0.5


def graph(probe: _perf_script.Stacks) -> tuple[str, str]:
    """How stacks are to be recorded, by a probe with frame pointers; and what to say of it."""
    if probe.samples < PROBE_SAMPLES:
        return perf.BY_DEBUG_INFORMATION, ""
    share = probe.truncated / probe.samples
    if share <= MOST_TRUNCATED:
        return perf.BY_FRAME_POINTERS, ""
    return perf.BY_DEBUG_INFORMATION, (
        f"stacks by debug information: by frame pointers {share:.0%} of {probe.samples} had no root"
    )


def record(pid: int, seconds: float, out: Path) -> str:
    """Record a process; how stacks were taken where that is not by frame pointers, or ''."""
    began = time.monotonic()
    trial = out.with_suffix(".probe")
    try:
        if not _perf(perf.record(pid, PROBE_S, trial, perf.BY_FRAME_POINTERS, PROBE_HZ)):
            return ""
        way, remark = graph(_probed(trial))
    finally:
        trial.unlink(missing_ok=True)
    left = max(FEWEST_S, began + seconds - time.monotonic())
    _perf(perf.record(pid, left, out, way, perf.RATE_HZ))
    return remark


def _probed(trial: Path) -> _perf_script.Stacks:
    """The stacks of a probe; none where perf could not tell them in time."""
    try:
        done = subprocess.run(
            _perf_script.arguments(trial),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_READ_S,
            preexec_fn=die_with_parent,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _perf_script.Stacks("", 0, 0)
    return _perf_script.fold(done.stdout.decode(errors="replace"))


def _perf(command: list[str]) -> bool:
    """Run perf to its end, which an interrupt brings about; whether it may go on after it."""
    interrupted: list[int] = []
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def handle(number: int, _: FrameType | None) -> None:
        interrupted.append(number)
        process.send_signal(number)

    before = signal.signal(signal.SIGINT, handle)
    try:
        status = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return status == 0 and not interrupted


def main(arguments: list[str]) -> Iterator[str]:
    """What is said of PID, SECONDS and OUT."""
    pid, seconds, out = arguments
    if remark := record(int(pid), float(seconds), Path(out)):
        yield f"{REMARK}{remark}"


if __name__ == "__main__":
    for line in main(sys.argv[1:]):
        sys.stdout.write(line + "\n")
