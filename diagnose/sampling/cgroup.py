"""Control groups above a process: which of them binds it, and what it has used of its limits.

Source: cgroups(7); Linux Documentation/admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1/memory.rst
and scheduler/sched-bwc.rst.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from diagnose.model.samples import CgroupSample
from diagnose.sampling.procfile import ProcFile

# A v1 group without a memory limit says so with a number near 2**63.
_NO_LIMIT = 1 << 60
ReadFile = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Group:
    """A folder of a cgroup file system, and whether it is of version 2."""

    folder: str
    second: bool


def parse_membership(data: bytes) -> Iterator[tuple[tuple[str, ...], str]]:
    """(controllers, path) of each line of /proc/PID/cgroup; version 2 has no controllers.

    A line that is none is left out.
    """
    for line in data.decode(errors="replace").splitlines():
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if number.isdecimal() and colon and path.startswith("/"):
            yield tuple(controllers.split(",") if controllers else ()), path


def parse_mounts(data: bytes) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """(controllers, root, mount point) of each cgroup file system in /proc/PID/mountinfo.

    A line that is cut off is left out. Version 2 has no controllers.
    """
    for line in data.decode(errors="replace").splitlines():
        left, dash, right = line.partition(" - ")
        words, kind = left.split(), right.split()
        if not dash or len(words) < 6 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2":
            yield (), _unescaped(words[3]), _unescaped(words[4])
        elif kind[0] == "cgroup":
            yield tuple(kind[2].split(",")), _unescaped(words[3]), _unescaped(words[4])


def _unescaped(path: str) -> str:
    """Source: proc(5): space, tab, line break and backslash are octal in mountinfo."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(code, character)
    return path


def groups(membership: bytes, mounts: bytes, controller: str) -> list[Group]:
    """The groups that a controller applies to a process by, the innermost first, up to the mount.

    Both versions may be there; a version 2 group counts only where its files are.
    """
    found: list[Group] = []
    mounted = list(parse_mounts(mounts))
    for controllers, path in parse_membership(membership):
        if controllers and controller not in controllers:
            continue
        for options, root, point in mounted:
            if (controller in options) if controllers else not options:
                # What lies above, or beside, the root of the mount cannot be seen.
                seen = _within(path, root) and ".." not in path.split("/")
                inside = path[len(root.rstrip("/")) :] if seen else "/"
                parts = [part for part in inside.split("/") if part]
                found += [
                    Group("/".join([point.rstrip("/"), *parts[:depth]]), not controllers)
                    for depth in range(len(parts), -1, -1)
                ]
                break
    return found


def _within(path: str, root: str) -> bool:
    return root == "/" or path == root or path.startswith(root + "/")


def parse_table(data: bytes) -> dict[bytes, int]:
    """`name value` lines, such as cpu.stat's; others are left out."""
    found: dict[bytes, int] = {}
    for line in data.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].isdigit():
            found[words[0]] = int(words[1])
    return found


def parse_number(data: bytes) -> int:
    """The number that a file holds; -1 for none, for `max`, and for version 1's "no limit"."""
    text = data.strip()
    if not text.isdigit():
        return -1
    value = int(text)
    return -1 if value >= _NO_LIMIT else value


def quota(group: Group, read: ReadFile) -> float:
    """The CPU quota of a group in cores; -1.0 without one."""
    if group.second:
        words = read(f"{group.folder}/cpu.max").split()
        if len(words) != 2 or not all(word.isdigit() for word in words):
            return -1.0
        allowed, period = int(words[0]), int(words[1])
    else:
        allowed = parse_number(read(f"{group.folder}/cpu.cfs_quota_us"))
        period = parse_number(read(f"{group.folder}/cpu.cfs_period_us"))
    return allowed / period if allowed > 0 and period > 0 else -1.0


def memory_limit(group: Group, read: ReadFile) -> int:
    """The memory limit of a group in bytes; -1 without one."""
    name = "memory.max" if group.second else "memory.limit_in_bytes"
    return parse_number(read(f"{group.folder}/{name}"))


def tightest(candidates: Iterable[Group], limit: Callable[[Group], float]) -> Group | None:
    """The group with the lowest limit, the innermost of equals; None where none has one."""
    bound = [(limit(group), group) for group in candidates]
    return min(
        ((value, group) for value, group in bound if value > 0),
        key=lambda pair: pair[0],
        default=(0.0, None),
    )[1]


def holding(candidates: Sequence[Group], read: ReadFile) -> Group | None:
    """The group whose memory is told where none is limited: the innermost below the mount."""
    for group, above in pairwise(candidates):
        if group.second == above.second and memory_used(group, read) >= 0:
            return group
    return None


def memory_used(group: Group, read: ReadFile) -> int:
    """Bytes that a group's processes use, pages of files included; -1 where it does not tell."""
    name = "memory.current" if group.second else "memory.usage_in_bytes"
    return parse_number(read(f"{group.folder}/{name}"))


def read_group(cpu: Group | None, memory: Group | None, read: ReadFile) -> CgroupSample:
    """What the groups that bind say; a file that is not there gives no figure."""
    quota_cores, periods, throttled, seconds = -1.0, 0, 0, 0.0
    if cpu is not None:
        quota_cores = quota(cpu, read)
        stat = parse_table(read(f"{cpu.folder}/cpu.stat"))
        periods = stat.get(b"nr_periods", 0)
        throttled = stat.get(b"nr_throttled", 0)
        # Version 1 counts nanoseconds.
        seconds = stat.get(b"throttled_usec", 0) / 1e6 + stat.get(b"throttled_time", 0) / 1e9
    used = peak = limit = -1
    kills = 0
    if memory is not None:
        used = memory_used(memory, read)
        limit = memory_limit(memory, read)
        peak_name = "memory.peak" if memory.second else "memory.max_usage_in_bytes"
        peak = parse_number(read(f"{memory.folder}/{peak_name}"))
        events = "memory.events" if memory.second else "memory.oom_control"
        kills = parse_table(read(f"{memory.folder}/{events}")).get(b"oom_kill", 0)
    return CgroupSample(quota_cores, periods, throttled, seconds, used, peak, limit, kills)


class CgroupReader:
    """The groups that bind one process; found again when it has moved, or a limit was set."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._files: dict[str, ProcFile | None] = {}
        self._cpu: Group | None = None
        self._memory: Group | None = None

    def find(self) -> None:
        """Look at the limits of all groups above the process.

        Raises: OSError when the process is gone.
        """
        with open(f"/proc/{self._pid}/cgroup", "rb") as file:
            membership = file.read()
        with open("/proc/self/mountinfo", "rb") as file:
            mounts = file.read()
        above = groups(membership, mounts, "memory")
        self._cpu = tightest(
            groups(membership, mounts, "cpu"), lambda group: quota(group, _read_once)
        )
        self._memory = tightest(above, lambda group: memory_limit(group, _read_once))
        if self._memory is None:
            self._memory = holding(above, _read_once)
        self.close()

    def read(self) -> CgroupSample | None:
        """What they say now; None where no group is above the process."""
        if self._cpu is None and self._memory is None:
            return None
        return read_group(self._cpu, self._memory, self._read_kept)

    def _read_kept(self, path: str) -> bytes:
        if path not in self._files:
            self._files[path] = None
            with contextlib.suppress(OSError):
                self._files[path] = ProcFile(path)
        file = self._files[path]
        if file is None:
            return b""
        try:
            return file.read()
        except OSError:
            # The group was removed.
            return b""

    def close(self) -> None:
        """Give the descriptors back."""
        for file in self._files.values():
            if file is not None:
                file.close()
        self._files.clear()


def _read_once(path: str) -> bytes:
    """The content of a file; empty where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
