"""How often a process enters the kernel, and for what: perf counts tracepoints.

Counting costs some 0.1 us a call (tracing each of them, as strace does, costs 75 % and more of the
throughput). It needs root, or a readable /sys/kernel/tracing.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

TRACEPOINTS = Path("/sys/kernel/tracing/events/syscalls")
ALL = "raw_syscalls:sys_enter"
TOTAL = "all"
# By what a server does with them: moving data, waiting, connections, files, memory, threads.
CALLS = (
    *("read", "readv", "recvfrom", "recvmsg", "pread64"),
    *("write", "writev", "sendto", "sendmsg", "sendfile64", "pwrite64"),
    *("epoll_wait", "epoll_pwait", "poll", "ppoll", "select", "futex", "clock_nanosleep"),
    *("epoll_ctl", "accept", "accept4", "shutdown", "close", "openat", "newfstatat"),
    *("mmap", "munmap", "madvise", "brk", "clone", "clone3"),
)


def available() -> bool:
    """perf is installed; whether it may count shows when it is tried."""
    return shutil.which("perf") is not None


def command(pid: int, seconds: float, out: Path) -> list[str]:
    """Count the calls of one process, of threads that it starts meanwhile too."""
    # perf refuses all events for one that the kernel does not have (arm64 has no epoll_wait).
    known = [name for name in CALLS if (TRACEPOINTS / f"sys_enter_{name}").exists()]
    events = [ALL, *(f"syscalls:sys_enter_{name}" for name in known or CALLS)]
    return [
        *("perf", "stat", "--field-separator", ",", "--event", ",".join(events)),
        *("--pid", str(pid), "--output", str(out), "--", "sleep", f"{seconds:.1f}"),
    ]


def collect(out: Path) -> dict[str, int]:
    """What was counted; empty where it was not allowed."""
    try:
        text = out.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    finally:
        out.unlink(missing_ok=True)
    return dict(parse(text))


def parse(text: str) -> Mapping[str, int]:
    """Calls by name, and `all` of them, from perf stat's fields; those that were never made are
    left out. Source: perf-stat(1), CSV format: the count comes first, the event's name third."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) < 3 or not fields[0].isdecimal() or fields[0] == "0":
            continue
        event = fields[2].strip()
        name = TOTAL if event == ALL else event.rpartition("sys_enter_")[2]
        if not name:
            continue
        found[name] = found.get(name, 0) + int(fields[0])
    return found
