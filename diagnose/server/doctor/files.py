"""Files of /proc and /sys that may not be there."""

from __future__ import annotations

from pathlib import Path


def text(path: Path) -> str | None:
    """The content of a file without the white space around it; None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def number(path: Path) -> int | None:
    """The one integer in a file; None if it cannot be read or holds something else."""
    values = numbers(path)
    return values[0] if values and len(values) == 1 else None


def numbers(path: Path) -> tuple[int, ...] | None:
    """The integers in a file; None if it cannot be read or holds something else."""
    content = text(path)
    if not content:
        return None
    try:
        return tuple(int(word) for word in content.split())
    except ValueError:
        return None


def table(path: Path) -> dict[str, int]:
    """Names and numbers of a file like /proc/meminfo or /proc/vmstat; bytes where it says kB."""
    found: dict[str, int] = {}
    for line in (text(path) or "").splitlines():
        words = line.replace(":", " ").split()
        if len(words) >= 2 and words[1].isdecimal():
            found[words[0]] = int(words[1]) * (1024 if words[2:] == ["kB"] else 1)
    return found
