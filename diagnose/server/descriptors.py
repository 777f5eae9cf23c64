"""How many descriptors each process of the server may have open."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def parse_limit(text: str) -> int | None:
    """The soft limit of open files in `/proc/PID/limits`; None without one.

    Source: proc(5); the columns are name, soft limit, hard limit, units.
    """
    for line in text.splitlines():
        name, found, rest = line.partition("Max open files")
        if found and not name:
            soft = rest.split()[0] if rest.split() else ""
            return int(soft) if soft.isdecimal() else None
    return None


def limits(pids: Iterable[int]) -> dict[int, int]:
    """The limits of those processes that are there and may be read."""
    found = {}
    for pid in pids:
        try:
            limit = parse_limit(Path(f"/proc/{pid}/limits").read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError):
            continue
        if limit is not None:
            found[pid] = limit
    return found
