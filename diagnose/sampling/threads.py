"""The threads of a process: one that has not run since it was read is not read again.

A thread's schedstat holds the nanoseconds that it ran: where they have not changed, the thread has
not changed either, and one read of 1 us stands for all of its files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from diagnose.model.samples import ThreadSample
from diagnose.sampling.cpu import parse_schedstat, parse_stat, parse_switches
from diagnose.sampling.procfile import ProcFile

SLEEPING = ("S", "D")


def parse_wait_channel(data: bytes) -> str:
    """The kernel function that a thread sleeps in; '' where there is none or it may not be seen.

    Source: proc(5), /proc/PID/wchan: `0` for a thread that runs, and for who may not look.
    """
    name = data.strip(b"\0\n ")
    return "" if name in (b"", b"0") else name.decode(errors="replace")


class ThreadReader:
    """One thread, by two kept descriptors; two more for what is read rarely.

    Raises: OSError when it is gone, or no descriptor is left.
    """

    __slots__ = ("_base", "_detailed", "_plain", "_sched", "_seen", "_stat", "_status", "_wchan")

    def __init__(self, pid: int, tid: int) -> None:
        self._base = f"/proc/{pid}/task/{tid}"
        self._plain: ThreadSample | None = None
        self._detailed: ThreadSample | None = None
        self._seen = b""
        self._status: ProcFile | None = None
        self._wchan: ProcFile | None = None
        self._stat = ProcFile(f"{self._base}/stat", 512)
        try:
            self._sched = ProcFile(f"{self._base}/schedstat", 128)
        except OSError:
            self._stat.close()
            raise

    def read(self, tid: int, details: bool) -> ThreadSample:
        """The thread as it is now; with `details` its switches and wait channel too.

        Raises: OSError or ValueError when it is gone.
        """
        sched = self._sched.read()
        plain = self._plain
        # A thread that was running, or ready to run, may have gone to sleep since.
        if plain is None or sched != self._seen or plain.state not in SLEEPING:
            stat = parse_stat(self._stat.read())
            run, wait = parse_schedstat(sched)
            self._seen = sched
            self._detailed = None
            self._plain = plain = ThreadSample(
                tid,
                stat.name,
                stat.state,
                stat.core,
                stat.user_s,
                stat.system_s,
                run,
                wait,
            )
        if not details:
            return plain
        if self._detailed is None:
            self._detailed = self._with_details(plain)
        return self._detailed

    def _with_details(self, plain: ThreadSample) -> ThreadSample:
        if self._status is None:
            self._status = ProcFile(f"{self._base}/status", 2048)
        if self._wchan is None:
            self._wchan = ProcFile(f"{self._base}/wchan", 256)
        voluntary, involuntary = parse_switches(self._status.read())
        channel = ""
        if plain.state in SLEEPING:
            with contextlib.suppress(PermissionError):
                channel = parse_wait_channel(self._wchan.read())
        return ThreadSample(
            plain.tid,
            plain.name,
            plain.state,
            plain.core,
            plain.user_s,
            plain.system_s,
            plain.run_s,
            plain.wait_s,
            voluntary,
            involuntary,
            channel,
        )

    def close(self) -> None:
        """Give the descriptors back."""
        for file in (self._stat, self._sched, self._status, self._wchan):
            if file is not None:
                file.close()


class ThreadTable:
    """All threads of a process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._folder = f"/proc/{pid}/task"
        self._readers: dict[int, ThreadReader] = {}
        # Threads that could not be opened, for want of descriptors or because they ended just then.
        self.unread = 0

    def read(self, details: bool, count: int, forked: bool) -> tuple[ThreadSample, ...]:
        """The threads as they are now. count: how many there are, as the process says; forked:
        anything on the host was started since the last time.

        Raises: OSError when the process is gone.
        """
        if forked or count != len(self._readers):
            self._find(map(int, os.listdir(self._folder)))
        samples: list[ThreadSample] = []
        gone: list[int] = []
        for tid, reader in self._readers.items():
            try:
                samples.append(reader.read(tid, details))
            except (OSError, ValueError):
                gone.append(tid)
        for tid in gone:
            self._readers.pop(tid).close()
        return tuple(samples)

    def _find(self, tids: Iterable[int]) -> None:
        alive = set(tids)
        for tid in self._readers.keys() - alive:
            self._readers.pop(tid).close()
        for tid in sorted(alive - self._readers.keys()):
            with contextlib.suppress(OSError):
                self._readers[tid] = ThreadReader(self._pid, tid)
        self.unread = len(alive) - len(self._readers)

    def close(self) -> None:
        """Give all descriptors back."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
