"""Native code by perf: kernel and user stacks, by frame pointers or by debug information."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from diagnose.profilers import _perf_script, _told
from diagnose.profilers._collected import MIN_SAMPLES, Collected

RUNTIMES = (
    *("nginx", "native", "go", "rust", "ocaml", "bun", "deno", "dotnet", "ruby", "php", "erlang"),
)
# What a runtime's own profiler does not see: its collector, native extensions, the kernel.
BESIDE = ("cpython", "node", "jvm")
_INTERPRETER = "perf names functions of the interpreter, none of the program"
REMARKS = {
    "ruby": _INTERPRETER,
    "php": _INTERPRETER,
    "erlang": "functions have names when it is started with ERL_FLAGS='+JPperf true'",
    "dotnet": "methods have names when it is started with DOTNET_PerfMapEnabled=1",
    "node": (
        "worker threads have the main one's name in perf, and JavaScript has names where node is "
        "started with --perf-basic-prof"
    ),
    "deno": "JavaScript has names when it is started with --v8-flags=--perf-basic-prof",
}
# OCaml's own frames keep no frame pointer, and its debug information tells where callers are.
DWARF = ("ocaml",)
# What C, C++ and Rust compilers make has frame pointers or not: a probe tells. The others are as
# they are: Go's are always there, and what a runtime compiles by itself has no debug information.
# nginx as distributions have it has no symbols whose callers could be named, and paid 23 % of its
# throughput for the probe and what followed.
PROBED = ("native", "rust")
BY_FRAME_POINTERS = "fp"
# So much of the stack is copied with each sample: 1.6 MB/s of a busy core, at 99 Hz.
BY_DEBUG_INFORMATION = "dwarf,16384"
RATE_HZ = 99
SCRIPT_TIMEOUT_S = 30.0


def available() -> str:
    """'' when perf is installed, else what to do."""
    if shutil.which("perf"):
        return ""
    return "perf is not installed: apt-get install linux-perf"


def command(pid: int, runtime: str, seconds: float, out: Path) -> list[str]:
    """Record one process for so many seconds."""
    if runtime in PROBED:
        words = (str(pid), f"{seconds:.2f}", str(out))
        return [sys.executable, "-m", "diagnose.profilers._perf_recorded", *words]
    way = BY_DEBUG_INFORMATION if runtime in DWARF else BY_FRAME_POINTERS
    return record(pid, seconds, out, way, RATE_HZ)


def record(pid: int, seconds: float, out: Path, way: str, rate_hz: int) -> list[str]:
    """perf's own command. cpu-clock works in virtual machines too."""
    return [
        *("perf", "record", "--event", "cpu-clock", "--freq", str(rate_hz)),
        *("--call-graph", way),
        *("--pid", str(pid), "--output", str(out), "--", "sleep", f"{seconds:.1f}"),
    ]


def collect(out: Path, said: str) -> Collected:
    """Turn perf's data into collapsed stacks."""
    if "Permission" in said or "perf_event_paranoid" in said or "No permission" in said:
        remedy = "perf may not attach: `sysctl -w kernel.perf_event_paranoid=1`, or run as root"
        return Collected("", 0, 0, remedy)
    if not out.exists():
        return Collected("", 0, 0, f"perf gave no profile: {_told.last_words(said)[:200]}")
    try:
        script = subprocess.run(
            _perf_script.arguments(out),
            capture_output=True,
            timeout=SCRIPT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Collected("", 0, 0, f"perf script took over {SCRIPT_TIMEOUT_S:.0f} s")
    finally:
        out.unlink(missing_ok=True)
    text = script.stdout.decode(errors="replace")
    stacks, lost = _perf_script.fold(text), _perf_script.lost(text)
    if stacks.samples < MIN_SAMPLES:
        remedy = f"only {stacks.samples} samples: the process was idle"
        return Collected("", stacks.samples, lost, remedy)
    return Collected(
        stacks.folded, stacks.samples, lost, remark=_told.remark(said), truncated=stacks.truncated
    )
