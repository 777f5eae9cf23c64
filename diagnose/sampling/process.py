"""One process of the tree: its files kept open, and read again only where something changed."""

from __future__ import annotations

import contextlib
import os

import msgspec

from diagnose.model.samples import ProcessSample, ThreadSample
from diagnose.sampling.cpu import Stat, parse_stat
from diagnose.sampling.memory import Memory, parse_io, parse_memory, parse_pss
from diagnose.sampling.procfile import ProcFile
from diagnose.sampling.threads import ThreadTable

# Descriptors and bytes moved change slowly enough for two looks a second, and what else has not
# shown in the process's stat is seen within this time too.
REFRESH_S = 0.5
_UNSEEN = (-1, -1, -1, -1, -1, -1)


class Asked(msgspec.Struct, frozen=True):
    """What to read of a process beyond the cheap parts. forked: anything on the host was started
    since its threads were read last; details: of threads, their switches and wait channels."""

    threads: bool = False
    details: bool = False
    forked: bool = True


class ProcessReader:
    """Reads one process until it is gone.

    Raises: OSError when it cannot be opened.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._base = base = f"/proc/{pid}"
        self._kept: list[ProcFile] = []
        self._threads = ThreadTable(pid)
        try:
            self._stat = self._keep(f"{base}/stat", 512)
            self._status = self._keep(f"{base}/status", 2048)
        except OSError:
            self.close()
            raise
        self._io: ProcFile | None = None
        with contextlib.suppress(OSError):
            self._io = self._keep(f"{base}/io", 512)
        self._raw = b""
        self._resident = (-1, -1, -1)
        self._memory = Memory(0, 0, 0, 0, 0)
        self._refresh_at = 0.0
        self._descriptors = -1
        self._moved = _UNSEEN
        self._sample: ProcessSample | None = None
        self._peak_since = 0.0

    def _keep(self, path: str, size: int) -> ProcFile:
        file = ProcFile(path, size)
        self._kept.append(file)
        return file

    def read(self, now: float, asked: Asked, pss: int = -1) -> ProcessSample:
        """The process as it is now; `pss` is told by who has just read it.

        Raises: OSError or ValueError when it is gone.
        """
        raw = self._stat.read()
        refresh = now >= self._refresh_at
        if refresh:
            self._refresh_at = now + REFRESH_S - 0.001
        elif raw == self._raw and self._sample is not None and not asked.threads and pss < 0:
            return self._sample
        stat = parse_stat(raw)
        if stat.state == "Z":
            raise ProcessLookupError(self.pid, "zombie")
        # Memory changes by page faults, or shows in the RSS.
        resident = (stat.rss_pages, stat.minor_faults, stat.major_faults)
        if refresh or resident != self._resident:
            self._memory = parse_memory(self._status.read())
            self._resident = resident
        if refresh:
            self._descriptors = self._count_descriptors()
            self._moved = self._read_io()
        threads = (
            self._threads.read(asked.details, stat.threads, asked.forked) if asked.threads else ()
        )
        sample = self._as_sample(stat, threads, pss)
        self._raw = raw
        self._sample = None if threads or pss >= 0 else sample
        return sample

    def _as_sample(self, stat: Stat, threads: tuple[ThreadSample, ...], pss: int) -> ProcessSample:
        memory, moved = self._memory, self._moved
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
            descriptors=self._descriptors,
            read_bytes=moved[0],
            written_bytes=moved[1],
            disk_read=moved[2],
            disk_written=moved[3],
            minor_faults=stat.minor_faults,
            major_faults=stat.major_faults,
            threads=threads,
            pss=pss,
            children_user_s=stat.children_user_s,
            children_system_s=stat.children_system_s,
            peak_since=self._peak_since,
            read_calls=moved[4],
            written_calls=moved[5],
        )

    def read_pss(self) -> int:
        """PSS in bytes; -1 where it may not be read. It costs 0.1 ms and 11 ms more for each GiB.

        Raises: OSError (ESRCH) when the process is gone.
        """
        try:
            with open(f"{self._base}/smaps_rollup", "rb", buffering=0) as file:
                return parse_pss(file.read(4096))
        except (PermissionError, FileNotFoundError):
            return -1

    def reset_peak(self, now: float) -> None:
        """The peak counts from now on. It changes nothing for the process but this figure.

        Source: proc(5), /proc/PID/clear_refs: 5 resets the peak RSS to the current one.
        """
        try:
            descriptor = os.open(f"{self._base}/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            os.write(descriptor, b"5")
        except OSError:
            return
        finally:
            os.close(descriptor)
        self._peak_since = now
        self.refresh()

    def refresh(self) -> None:
        """The next read takes everything anew."""
        self._refresh_at = 0.0

    @property
    def unread_threads(self) -> int:
        """Threads that could not be opened at the last read."""
        return self._threads.unread

    def _count_descriptors(self) -> int:
        """Open descriptors; -1 where they may not be seen.

        Since Linux 6.2 the size of /proc/PID/fd is their number; before it is 0, so count then.
        """
        try:
            size = os.stat(f"{self._base}/fd").st_size
            return size or len(os.listdir(f"{self._base}/fd"))
        except OSError:
            return -1

    def _read_io(self) -> tuple[int, int, int, int, int, int]:
        if self._io is None:
            return _UNSEEN
        try:
            return parse_io(self._io.read())
        except PermissionError:
            self._kept.remove(self._io)
            self._io.close()
            self._io = None
            return _UNSEEN

    def close(self) -> None:
        """Give all descriptors back."""
        for file in self._kept:
            file.close()
        self._kept.clear()
        self._threads.close()
