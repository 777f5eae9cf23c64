"""CPU time: of a process or a thread, and of the host's cores."""

from __future__ import annotations

import os

import msgspec

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
OFFLINE = -1.0


class Stat(msgspec.Struct, frozen=True):
    """The fields of /proc/PID/stat or of a thread's that are used here. Source: proc(5).

    children_*: CPU time of children that have ended and were waited for, theirs included.
    """

    name: str
    state: str
    parent: int
    minor_faults: int
    major_faults: int
    user_s: float
    system_s: float
    children_user_s: float
    children_system_s: float
    threads: int
    rss_pages: int
    core: int


def parse_stat(data: bytes) -> Stat:
    """The content of a stat file. A name may hold spaces and parentheses: the last `)` ends it.

    Raises: ValueError when it is cut off.
    """
    opened = data.find(b"(")
    closed = data.rfind(b")")
    if opened < 0 or closed < 0:
        raise ValueError(f"not a stat line: {data[:60]!r}")
    rest = data[closed + 2 :].split()
    if len(rest) < 37:
        raise ValueError(f"stat line with {len(rest)} fields after the name")
    return Stat(
        name=data[opened + 1 : closed].decode(errors="replace"),
        state=rest[0].decode(),
        parent=int(rest[1]),
        minor_faults=int(rest[7]),
        major_faults=int(rest[9]),
        user_s=int(rest[11]) * TICK_S,
        system_s=int(rest[12]) * TICK_S,
        children_user_s=int(rest[13]) * TICK_S,
        children_system_s=int(rest[14]) * TICK_S,
        threads=int(rest[17]),
        rss_pages=int(rest[21]),
        core=int(rest[36]),
    )


def parse_schedstat(data: bytes) -> tuple[float, float]:
    """Seconds on a core and seconds in the run queue. Source: sched-stats.rst of Linux.

    Raises: ValueError when it is cut off.
    """
    run, wait, _ = data.split()
    return int(run) / 1e9, int(wait) / 1e9


def parse_switches(data: bytes) -> tuple[int, int]:
    """Voluntary and involuntary context switches of a status file; -1 where they are not told."""
    voluntary = involuntary = -1
    for line in data.splitlines():
        words = line.split()
        if len(words) < 2:
            continue
        if words[0] == b"voluntary_ctxt_switches:":
            voluntary = int(words[1])
        elif words[0] == b"nonvoluntary_ctxt_switches:":
            involuntary = int(words[1])
    return voluntary, involuntary


def parse_host(data: bytes) -> tuple[tuple[float, ...], float]:
    """Busy seconds of each core (neither idle nor iowait nor stolen), and stolen seconds in all.

    The position is the core's number; one that has no line is OFFLINE.

    Raises: ValueError when a line is cut off.
    Source: proc(5), /proc/stat: user nice system idle iowait irq softirq steal.
    """
    busy: list[float] = []
    steal = 0
    for line in data.split(b"\n"):
        if line[:3] != b"cpu":
            break
        words = line.split(None, 9)
        if words[0] == b"cpu":
            continue
        if len(words) < 9:
            raise ValueError(f"cpu line with {len(words) - 1} fields: {line[:60]!r}")
        _, user, nice, system, _, _, irq, softirq, stolen, *_ = words
        ticks = int(user) + int(nice) + int(system) + int(irq) + int(softirq)
        steal += int(stolen)
        number = int(words[0][3:])
        if number > len(busy):
            busy += [OFFLINE] * (number - len(busy))
        busy.append(ticks * TICK_S)
    return tuple(busy), steal * TICK_S


def parse_fork_count(data: bytes) -> int:
    """Processes and threads that the host has started since boot; -1 where it does not tell.

    Source: proc(5), /proc/stat: `processes`.
    """
    _, found, rest = data.rpartition(b"\nprocesses ")
    number, ended, _ = rest.partition(b"\n")
    return int(number) if found and ended else -1
