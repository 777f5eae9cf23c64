"""Native code by perf: kernel and user stacks through frame pointers."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

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
    "deno": "JavaScript has names when it is started with --v8-flags=--perf-basic-prof",
}
# OCaml's own frames keep no frame pointer, and its debug information tells where callers are.
DWARF = ("ocaml",)
STACK_BYTES = 16384
RATE_HZ = 99
SCRIPT_TIMEOUT_S = 30.0
# A symbol may hold parentheses (C++); a module holds none but a final ` (deleted)`.
_FRAME = re.compile(r"^\s+[0-9a-f]+ (.*?)(?:\+0x[0-9a-f]+)? \(([^()]*(?: \(deleted\))?)\)$")


# "Processed 1204 events and lost 3 chunks!"
_LOST = re.compile(r"\blost (\d+) chunks")


def available() -> str:
    """'' when perf is installed, else what to do."""
    if shutil.which("perf"):
        return ""
    return "perf is not installed: apt-get install linux-perf"


def command(pid: int, runtime: str, seconds: float, out: Path) -> list[str]:
    """Record one process for so many seconds. cpu-clock works in virtual machines too."""
    graph = f"dwarf,{STACK_BYTES}" if runtime in DWARF else "fp"
    return [
        *("perf", "record", "--event", "cpu-clock", "--freq", str(RATE_HZ)),
        *("--call-graph", graph),
        *("--pid", str(pid), "--output", str(out), "--", "sleep", f"{seconds:.1f}"),
    ]


def collect(out: Path, said: str) -> Collected:
    """Turn perf's data into collapsed stacks."""
    if "Permission" in said or "perf_event_paranoid" in said or "No permission" in said:
        remedy = "perf may not attach: `sysctl -w kernel.perf_event_paranoid=1`, or run as root"
        return Collected("", 0, 0, remedy)
    if not out.exists():
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        return Collected("", 0, 0, f"perf gave no profile: {last[0][:200]}")
    try:
        script = subprocess.run(
            [
                *("perf", "script", "--no-inline", "--input", str(out)),
                *("--fields", "comm,tid,ip,sym,dso"),
            ],
            capture_output=True,
            timeout=SCRIPT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Collected("", 0, 0, f"perf script took over {SCRIPT_TIMEOUT_S:.0f} s")
    finally:
        out.unlink(missing_ok=True)
    folded, samples = fold(script.stdout.decode(errors="replace"))
    lost = sum(map(int, _LOST.findall(script.stderr.decode(errors="replace"))))
    if samples < MIN_SAMPLES:
        return Collected("", samples, lost, f"only {samples} samples: the process was idle")
    return Collected(folded, samples, lost)


def fold(text: str) -> tuple[str, int]:
    """perf script's blocks as collapsed stacks, thread name first; and the number of samples.

    A block is a line with the thread's name, one line a frame with the innermost first, and an
    empty line. Source: perf-script(1).
    """
    totals: dict[str, int] = {}
    samples = 0
    name = ""
    frames: list[str] = []
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if name and frames:
                key = ";".join([name, *reversed(frames)])
                totals[key] = totals.get(key, 0) + 1
                samples += 1
            name, frames = "", []
        elif not line[0].isspace():
            name = line.rsplit(maxsplit=1)[0].replace(";", ":")
        elif match := _FRAME.match(line):
            symbol, module = match[1], match[2]
            if symbol == "[unknown]":
                symbol = f"[{Path(module.strip('[]')).name}]"
            frames.append(symbol.replace(";", ":"))
    return "".join(f"{stack} {count}\n" for stack, count in totals.items()), samples
