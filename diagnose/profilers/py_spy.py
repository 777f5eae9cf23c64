"""CPython processes by py-spy: only threads that run, with their names, at a rate they bear."""

from __future__ import annotations

import math
import re
import shutil
import sys
from pathlib import Path

from diagnose.profilers._collected import MIN_SAMPLES, Collected, Plan, Threads

RUNTIMES = ("cpython",)
# At 100 Hz py-spy takes a quarter of a busy uvicorn's throughput, at 20 Hz nothing that shows.
RATE_HZ = 49
# Threads looked at in a second. The process stands still for each look, and every thread is looked
# at, those that sleep too: beyond it a server of many threads stands still more than it serves.
MOST_LOOKS = 1000
# Only one thread has the interpreter's lock: its samples alone have to be enough, and a quarter of
# them may find it waiting.
MARGIN = 1.25
# Threads that wait for the lock run now and then, and py-spy takes them for running: of 590 samples
# of a pool of 16 that used one core for 2 s, 492 were theirs. Where so many threads ran, used no
# more than one core (and a little without the lock), and slept most of the time, one runs at a
# time, and that one has the lock. Threads that compute in native code without it would not sleep:
# they run, or wait for a core. What few of them do is not seen then; perf is beside it.
MANY_THREADS = 3
ONE_AT_A_TIME = 1.2
MOST_AWAKE = 0.5
BY_DEFAULT = Plan(RATE_HZ)
_SAMPLES = re.compile(r"Samples: (\d+)(?: Errors: (\d+))?")


def _program() -> str | None:
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


def available() -> str:
    """'' when py-spy is installed, else what to do."""
    return "" if _program() else "py-spy is not installed: pip install py-spy"


def plan(threads: Threads, together: int, seconds: float) -> Plan:
    """Fewer looks a second, the more threads there are; only the lock's holder, where many threads
    take turns."""
    hz, why = _rate(together, seconds)
    asleep = threads.wanted <= MOST_AWAKE * threads.ran
    if threads.ran < MANY_THREADS or threads.used > ONE_AT_A_TIME or not asleep:
        return Plan(hz, (), why)
    turns = f"only threads that had the interpreter's lock, because {threads.ran} took turns"
    return Plan(hz, ("--gil",), "; ".join(filter(None, (why, turns))))


def _rate(threads: int, seconds: float) -> tuple[int, str]:
    least = min(RATE_HZ, math.ceil(MARGIN * MIN_SAMPLES / _whole(seconds)))
    wanted = min(RATE_HZ, MOST_LOOKS // max(threads, 1))
    if wanted == RATE_HZ:
        return RATE_HZ, ""
    if wanted >= least:
        why = f"at {wanted} Hz and not {RATE_HZ}"
        return wanted, f"{why}, because each look stops the process for {threads} threads"
    why = f"each look stops the process for {threads} threads: {wanted} Hz would disturb less"
    return least, f"{why} than {least} Hz, and give too few samples in {seconds:.1f} s"


def _whole(seconds: float) -> int:
    return max(1, round(seconds))


def command(
    pid: int, runtime: str, seconds: float, out: Path, plan: Plan = BY_DEFAULT
) -> list[str]:
    """Record one process for so many whole seconds."""
    program = _program()
    assert program is not None
    return [
        program,
        "record",
        *("--pid", str(pid), "--rate", str(plan.hz), "--duration", str(_whole(seconds))),
        *("--format", "raw", "--full-filenames", "--threads", "--output", str(out)),
        *plan.options,
    ]


def collect(out: Path, said: str) -> Collected:
    """py-spy's exit status is 1 for nearly everything: its words and its file tell."""
    if "Permission denied" in said or "Operation not permitted" in said:
        return Collected(
            "",
            0,
            0,
            "py-spy may not read the process: run as the same user with "
            "`sysctl -w kernel.yama.ptrace_scope=0`, or as root",
        )
    if "Failed to find python version" in said:
        return Collected("", 0, 0, "py-spy does not know this interpreter: try --profile perf")
    match = _SAMPLES.search(said)
    samples, errors = (int(match[1]), int(match[2] or 0)) if match else (0, 0)
    if not out.exists():
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        return Collected("", 0, errors, f"py-spy gave no profile: {last[0][:200]}")
    folded = out.read_text(encoding="utf-8", errors="replace")
    out.unlink()
    samples = max(samples, sum(_counts(folded)))
    if samples < MIN_SAMPLES:
        return Collected("", samples, errors, f"only {samples} samples: the process was idle")
    return Collected(folded, samples, errors)


def _counts(folded: str) -> list[int]:
    counts = (line.rpartition(" ")[2] for line in folded.splitlines())
    return [int(count) for count in counts if count.isdecimal()]
