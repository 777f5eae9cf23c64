"""Limits that the control groups above this process set; both versions of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diagnose.server.doctor.files import number, table, text

# A v1 group without a memory limit says so with a number near 2**63.
NO_LIMIT = 1 << 60


def groups(proc: Path, sys: Path, controller: str) -> Iterator[tuple[Path, bool]]:
    """The groups that this process is in, the innermost first, and whether they are of version 2.

    In a container the path that the kernel names may lie outside of what is mounted: then only the
    mounted root is found, and it is the container's own group.
    Source: cgroups(7), /proc/PID/cgroup: `hierarchy:controllers:path`, `0::path` for version 2.
    """
    for line in (text(proc / "self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        base = sys / "fs/cgroup"
        roots = [base / controllers, base / controller] if controllers else [base, base / "unified"]
        for root in roots:
            parts = [part for part in path.split("/") if part not in ("", "..")]
            for depth in range(len(parts), -1, -1):
                folder = root.joinpath(*parts[:depth])
                if folder.is_dir():
                    yield folder, not controllers


def cpu_quota(proc: Path, sys: Path) -> tuple[float | None, str]:
    """The tightest CPU quota in cores and the file that sets it; None without one.

    Source: Linux, admin-guide/cgroup-v2.rst, cpu.max: `$MAX $PERIOD`; scheduler/sched-bwc.rst.
    """
    tightest: float | None = None
    where = ""
    for folder, second in groups(proc, sys, "cpu"):
        if second:
            file = folder / "cpu.max"
            words = (text(file) or "").split()
            if len(words) != 2 or not all(word.isdecimal() for word in words):
                continue
            quota, period = int(words[0]), int(words[1])
        else:
            file = folder / "cpu.cfs_quota_us"
            quota, period = number(file) or -1, number(folder / "cpu.cfs_period_us") or 0
        if quota > 0 and period > 0 and (tightest is None or quota / period < tightest):
            tightest, where = quota / period, str(file)
    return tightest, where


def memory_free(proc: Path, sys: Path) -> int | None:
    """The least that a memory limit leaves, in bytes; None without a limit.

    Pages of files that were not used for a while do not count: the kernel takes them back first.
    """
    least: int | None = None
    for folder, second in groups(proc, sys, "memory"):
        limit_name, used_name, idle_name = (
            ("memory.max", "memory.current", "inactive_file")
            if second
            else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        )
        limit, used = number(folder / limit_name), number(folder / used_name)
        if limit is None or used is None or limit >= NO_LIMIT:
            continue
        free = max(0, limit - used + table(folder / "memory.stat").get(idle_name, 0))
        least = free if least is None else min(least, free)
    return least
