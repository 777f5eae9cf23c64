"""One process of the tree: its files kept open, its threads found again at every sample."""

from __future__ import annotations

import contextlib
import os

from diagnose.model.samples import ProcessSample
from diagnose.sampling.cpu import parse_stat
from diagnose.sampling.memory import parse_io, parse_memory
from diagnose.sampling.procfile import ProcFile
from diagnose.sampling.threads import ThreadTable


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
        self._threads = ThreadTable(pid)

    def read(self, threads: bool, details: bool, forked: bool) -> ProcessSample:
        """The process as it is now. threads: them too; details: and their switches and wait
        channels. forked: anything on the host was started since the last time.

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
            threads=self._threads.read(details, stat.threads, forked) if threads else (),
            children_user_s=stat.children_user_s,
            children_system_s=stat.children_system_s,
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

    def close(self) -> None:
        """Give all descriptors back."""
        self._stat.close()
        self._status.close()
        if self._io is not None:
            self._io.close()
        self._threads.close()
