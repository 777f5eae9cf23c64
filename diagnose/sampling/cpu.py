"""CPU time: of every thread of a process, and of the host's cores."""

from __future__ import annotations

import os
from dataclasses import dataclass

from diagnose.model.samples import ThreadSample
from diagnose.sampling.procfile import ProcFile

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


OFFLINE = -1.0


@dataclass(frozen=True, slots=True)
class Stat:
    """The fields of /proc/PID/stat or of a thread's that are used here. Source: proc(5)."""

    name: str
    state: str
    parent: int
    minor_faults: int
    major_faults: int
    user_s: float
    system_s: float
    threads: int
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
        threads=int(rest[17]),
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


class ThreadReader:
    """One thread of a process, by two kept descriptors and a third for its switches."""

    __slots__ = ("_sched", "_stat", "_status", "tid")

    def __init__(self, pid: int, tid: int) -> None:
        self.tid = tid
        base = f"/proc/{pid}/task/{tid}"
        self._stat = ProcFile(f"{base}/stat", 1024)
        self._sched = ProcFile(f"{base}/schedstat", 128)
        self._status = ProcFile(f"{base}/status", 1 << 14)

    def read(self, switches: bool) -> ThreadSample:
        """The thread as it is now.

        Raises: OSError or ValueError when it is gone.
        """
        stat = parse_stat(self._stat.read())
        run, wait = parse_schedstat(self._sched.read())
        voluntary, involuntary = parse_switches(self._status.read()) if switches else (-1, -1)
        return ThreadSample(
            self.tid,
            stat.name,
            stat.state,
            stat.core,
            stat.user_s,
            stat.system_s,
            run,
            wait,
            voluntary,
            involuntary,
        )

    def close(self) -> None:
        """Give the descriptors back."""
        self._stat.close()
        self._sched.close()
        self._status.close()


def parse_host(data: bytes) -> tuple[tuple[float, ...], float]:
    """Busy seconds of each core (neither idle nor iowait nor stolen), and stolen seconds in all.

    The position is the core's number; one that has no line is OFFLINE.

    Raises: ValueError when a line is cut off.
    Source: proc(5), /proc/stat: user nice system idle iowait irq softirq steal.
    """
    busy: dict[int, float] = {}
    steal = 0
    for line in data.splitlines():
        if line.startswith(b"cpu") and line[3:4].isdigit():
            fields = [int(field) for field in line.split()[1:9]]
            if len(fields) < 8:
                raise ValueError(f"cpu line with {len(fields)} fields: {line[:60]!r}")
            number = int(line[3:].split(maxsplit=1)[0])
            busy[number] = (sum(fields[:3]) + fields[5] + fields[6]) * TICK_S
            steal += fields[7]
        elif busy:
            break
    count = max(busy, default=-1) + 1
    return tuple(busy.get(number, OFFLINE) for number in range(count)), steal * TICK_S
