"""One process of the tree: its files kept open, its threads found again at every sample."""

from __future__ import annotations

import contextlib
import os

from diagnose.model.samples import ProcessSample, ThreadSample
from diagnose.sampling.cpu import ThreadReader, parse_stat
from diagnose.sampling.memory import parse_io, parse_memory
from diagnose.sampling.procfile import ProcFile


class ProcessReader:
    """Reads one process until it is gone.

    Raises: OSError when it cannot be opened.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        base = f"/proc/{pid}"
        self._base = base
        self._stat = ProcFile(f"{base}/stat", 1024)
        self._status = ProcFile(f"{base}/status", 1 << 14)
        self._io: ProcFile | None = None
        with contextlib.suppress(PermissionError):
            self._io = ProcFile(f"{base}/io", 512)
        self._threads: dict[int, ThreadReader] = {}

    def read(self, threads: bool, switches: bool) -> ProcessSample:
        """The process as it is now; `threads` and `switches` ask for the costly parts.

        Raises: OSError or ValueError when it is gone.
        """
        stat = parse_stat(self._stat.read())
        if stat.state == "Z":
            raise ProcessLookupError(self.pid, "zombie")
        memory = parse_memory(self._status.read())
        io = (-1, -1, -1, -1)
        if self._io is not None:
            try:
                io = parse_io(self._io.read())
            except PermissionError:
                self._io = None
        return ProcessSample(
            pid=self.pid,
            parent=stat.parent,
            name=stat.name,
            user_s=stat.user_s,
            system_s=stat.system_s,
            rss=memory.rss,
            anonymous=memory.anonymous,
            file=memory.file,
            shared=memory.shared,
            peak=memory.peak,
            thread_count=stat.threads,
            descriptors=self._descriptors(),
            read_bytes=io[0],
            written_bytes=io[1],
            disk_read=io[2],
            disk_written=io[3],
            minor_faults=stat.minor_faults,
            major_faults=stat.major_faults,
            threads=self._read_threads(switches) if threads else (),
        )

    def _descriptors(self) -> int:
        """Open descriptors; -1 where they may not be seen.

        Since Linux 6.2 the size of /proc/PID/fd is their number; before it is 0, so count then.
        """
        try:
            size = os.stat(f"{self._base}/fd").st_size
            return size or len(os.listdir(f"{self._base}/fd"))
        except OSError:
            return -1

    def _read_threads(self, switches: bool) -> tuple[ThreadSample, ...]:
        alive = {int(tid) for tid in os.listdir(f"{self._base}/task")}
        for tid in self._threads.keys() - alive:
            self._threads.pop(tid).close()
        for tid in alive - self._threads.keys():
            with contextlib.suppress(OSError):
                self._threads[tid] = ThreadReader(self.pid, tid)
        samples: list[ThreadSample] = []
        for tid in sorted(self._threads):
            with contextlib.suppress(OSError, ValueError):
                samples.append(self._threads[tid].read(switches))
        return tuple(samples)

    def close(self) -> None:
        """Give all descriptors back."""
        self._stat.close()
        self._status.close()
        if self._io is not None:
            self._io.close()
        for reader in self._threads.values():
            reader.close()
