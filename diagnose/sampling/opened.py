"""What the server's processes have open: files that they write, and connections to others.

Looking at a descriptor costs some 2 us, whatever it is: twice a second is affordable for a
thousand of them, and more are looked at less often.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Sequence

import msgspec

from diagnose.model.samples import MOST_FILES, FilesSample, OpenFile, PeerSample
from diagnose.sampling.downstream import DownstreamReader
from diagnose.sampling.schedule import Lowered, Schedule

# Three looks in a window of two seconds, which is what a mean takes.
OPENED_S = 0.45
# Of one core: at most, and what is fair as long as the measured window has two looks beside the
# one at its beginning: a mean of connections to others takes two.
SHARE, FAIR = 0.01, 0.001
LOOKS = 2
# Files that are in memory and nowhere else: a body in one of them is counted as memory.
_IN_MEMORY = "/memfd:"
_WRITES = os.O_WRONLY | os.O_RDWR


class Opened(msgspec.Struct, frozen=True):
    """What was due and could be read."""

    files: FilesSample | None = None
    downstream: tuple[PeerSample, ...] | None = None


NOTHING = Opened()


class _Known(msgspec.Struct):
    """A file: '' where it is not written, or in memory only."""

    path: str
    since: float


class OpenedReader:
    """Looks at all descriptors of the server's processes when that is due."""

    def __init__(self, port: int, window_s: float = 5.0) -> None:
        what = "open files and connections to others"
        self._schedule = Schedule(what, OPENED_S, SHARE, FAIR, window_s / LOOKS)
        self._files: dict[tuple[int, int], _Known] = {}
        self._downstream: DownstreamReader | None = None
        with contextlib.suppress(OSError):
            self._downstream = DownstreamReader(port)
        # CPU seconds of the last read.
        self.costly_s = 0.0

    @property
    def due_at(self) -> float:
        """When it may be read again."""
        return self._schedule.due_at

    def read(self, now: float, pids: Sequence[int], elsewhere: bool) -> Opened:
        """What is open now. elsewhere: the server is in another network namespace than this one."""
        began = time.thread_time()
        sizes: dict[tuple[int, int], int] = {}
        inodes: set[int] = set()
        seen = False
        for pid in pids:
            try:
                self._scan(pid, now, sizes, inodes)
                seen = True
            except OSError:
                # It is gone, or another user's.
                continue
        # A file that nobody has open any more may give its number to another one.
        self._files = {key: known for key, known in self._files.items() if key in sizes}
        downstream = None
        if seen and self._downstream is not None and not elsewhere:
            downstream = self._ask(self._downstream, inodes)
        self.costly_s = time.thread_time() - began
        self._schedule.done(now, self.costly_s)
        return Opened(self._summed(sizes), downstream) if seen else NOTHING

    def _scan(
        self, pid: int, now: float, sizes: dict[tuple[int, int], int], inodes: set[int]
    ) -> None:
        # Asked for below an open directory: the path to it costs a sixth of each answer.
        home = os.open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in os.listdir(home):
                try:
                    found = os.stat(name, dir_fd=home)
                except OSError:
                    continue
                if stat.S_ISSOCK(found.st_mode):
                    inodes.add(found.st_ino)
                elif stat.S_ISREG(found.st_mode):
                    key = (found.st_dev, found.st_ino)
                    if key not in self._files:
                        with contextlib.suppress(OSError, ValueError):
                            self._files[key] = _Known(_written_path(pid, name), now)
                    if key in self._files:
                        sizes[key] = found.st_size
        finally:
            os.close(home)

    def _summed(self, sizes: dict[tuple[int, int], int]) -> FilesSample:
        written = [
            OpenFile(known.path, sizes[key], known.since)
            for key, known in self._files.items()
            if known.path
        ]
        total = sum([file.size for file in written])
        oldest = sorted(written, key=lambda file: (file.since, -file.size))[:MOST_FILES]
        return FilesSample(tuple(oldest), len(written), total)

    def _ask(self, reader: DownstreamReader, inodes: set[int]) -> tuple[PeerSample, ...] | None:
        try:
            return reader.read(inodes)
        except (OSError, ValueError):
            with contextlib.suppress(OSError):
                reader.restart()
            return None

    def mark(self) -> None:
        """A phase begins: it is due."""
        self._schedule.now()

    def lowered(self) -> list[Lowered | None]:
        """What was read less often than it should have been."""
        return [self._schedule.lowered()]

    def close(self) -> None:
        """Give all descriptors back."""
        if self._downstream is not None:
            self._downstream.close()


def parse_flags(data: bytes) -> int:
    """The flags with which a descriptor was opened.

    Raises: ValueError when they are not there.
    Source: proc(5), /proc/PID/fdinfo: `flags` is octal.
    """
    for line in data.splitlines():
        name, _, value = line.partition(b":")
        if name == b"flags":
            return int(value, 8)
    raise ValueError("no flags in fdinfo")


def _written_path(pid: int, name: str) -> str:
    """The path of an open file; '' where it is not open for writing, or is in memory only.

    Raises: OSError, ValueError.
    """
    with open(f"/proc/{pid}/fdinfo/{name}", "rb", buffering=0) as file:
        flags = parse_flags(file.read(1024))
    if not flags & _WRITES:
        return ""
    path = os.readlink(f"/proc/{pid}/fd/{name}")
    return "" if path.startswith(_IN_MEMORY) else path
