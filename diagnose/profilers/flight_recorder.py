"""The JVM by its Flight Recorder: Java methods, in a JVM that was started by whomever and however.

perf needs -XX:+PreserveFramePointer and a map of the compiled methods for that. Only threads that
run Java code are sampled, up to five of them at a time; collector and compiler are perf's part.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from diagnose.profilers import _told
from diagnose.profilers._collected import MIN_SAMPLES, Collected

RUNTIMES = ("jvm",)
# The recorder's period is in whole milliseconds, and 10 ms the shortest before JDK 14.
RATE_HZ = 100
PRINT_TIMEOUT_S = 30.0
MOST_FRAMES = 128
FEW = (
    "only {} samples: the process was idle, or in native code and stubs (Math.sin), which the "
    "recorder does not see"
)


class Type(msgspec.Struct, frozen=True):
    """A class."""

    name: str = ""


class Method(msgspec.Struct, frozen=True):
    """A method of a class."""

    name: str = ""
    type: Type | None = None


class Frame(msgspec.Struct, frozen=True):
    """A method that was called, at a line; -1 where that is not known."""

    method: Method | None = None
    lineNumber: int = -1


class StackTrace(msgspec.Struct, frozen=True):
    """Frames, innermost first; truncated: outer ones are missing."""

    frames: list[Frame]
    truncated: bool = False


class Thread(msgspec.Struct, frozen=True):
    """A Java thread, by its name in Java or that of the system."""

    javaName: str | None = None
    osName: str | None = None


class Values(msgspec.Struct, frozen=True):
    """The fields of a jdk.ExecutionSample."""

    sampledThread: Thread | None = None
    stackTrace: StackTrace | None = None


class Event(msgspec.Struct, frozen=True):
    """One sample."""

    values: Values


class Events(msgspec.Struct, frozen=True):
    """All samples."""

    events: list[Event]


class Recording(msgspec.Struct, frozen=True):
    """What `jfr print --json` prints."""

    recording: Events


def available() -> str:
    """'' when jcmd and jfr are installed, else what to do."""
    missing = [name for name in ("jcmd", "jfr") if not shutil.which(name)]
    if not missing:
        return ""
    verb = "is" if len(missing) == 1 else "are"
    return (
        f"{' and '.join(missing)} {verb} not installed: they come with a JDK "
        "(apt-get install default-jdk-headless)"
    )


def command(pid: int, runtime: str, seconds: float, out: Path) -> list[str]:
    """Record one process for so many seconds."""
    # A folder of its own, because the JVM writes it as its own user.
    folder = out.with_name(f"{out.name}.d")
    folder.mkdir(exist_ok=True)
    out.parent.chmod(0o711)
    return [
        *(sys.executable, "-m", "diagnose.profilers._flight_recording"),
        *(str(pid), f"{seconds:.2f}", str(folder / "recording.jfr"), str(RATE_HZ)),
    ]


def collect(out: Path, said: str) -> Collected:
    """The recording's samples as collapsed stacks."""
    folder = out.with_name(f"{out.name}.d")
    recording = folder / "recording.jfr"
    try:
        if not recording.exists():
            return Collected("", 0, 0, f"no recording: {_told.last_words(said)}")
        printed = subprocess.run(
            [
                *("jfr", "print", "--json", "--events", "jdk.ExecutionSample"),
                *("--stack-depth", str(MOST_FRAMES), str(recording)),
            ],
            capture_output=True,
            timeout=PRINT_TIMEOUT_S,
            check=False,
        )
        parsed = msgspec.json.decode(printed.stdout, type=Recording)
    except subprocess.TimeoutExpired:
        return Collected("", 0, 0, f"jfr print took over {PRINT_TIMEOUT_S:.0f} s")
    except msgspec.MsgspecError:
        words = printed.stderr.decode(errors="replace") or printed.stdout.decode(errors="replace")
        return Collected("", 0, 0, f"jfr cannot read the recording: {_told.last_words(words)}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    folded, samples, truncated = fold(parsed)
    if samples < MIN_SAMPLES:
        return Collected("", samples, 0, FEW.format(samples))
    remark = f"{truncated} stacks lack their outermost frames" if truncated else ""
    return Collected(folded, samples, 0, remark=remark)


def fold(recording: Recording) -> tuple[str, int, int]:
    """Collapsed stacks, thread name first and then outermost first; the number of samples, and how
    many of them lack their outermost frames."""
    totals: dict[tuple[str, ...], int] = {}
    truncated = 0
    for event in recording.recording.events:
        trace, thread = event.values.stackTrace, event.values.sampledThread or Thread()
        if trace is None or not trace.frames:
            continue
        name = thread.javaName or thread.osName or "thread"
        stack = (_clean(name), *(_frame(frame) for frame in reversed(trace.frames)))
        totals[stack] = totals.get(stack, 0) + 1
        truncated += trace.truncated
    folded = "".join(f"{';'.join(stack)} {count}\n" for stack, count in totals.items())
    return folded, sum(totals.values()), truncated


def _frame(frame: Frame) -> str:
    """`package.Class.method (Class:line)`: the recording does not name the file."""
    method = frame.method or Method()
    holder = method.type.name if method.type else ""
    name = f"{holder}.{method.name}" if holder else method.name or "[unknown]"
    if holder and frame.lineNumber > 0:
        name += f" ({holder.rpartition('.')[2]}:{frame.lineNumber})"
    return _clean(name)


def _clean(text: str) -> str:
    return text.replace(";", ":").replace("\n", " ")
