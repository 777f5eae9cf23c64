"""Resident memory of a process by kind, and its reads and writes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of /proc/PID/status: RSS with its parts, and its peak since the start."""

    rss: int
    anonymous: int
    file: int
    shared: int
    peak: int


def parse_memory(data: bytes) -> Memory:
    """The memory lines of a status file; a kernel thread or zombie has none of them: zeros.

    Source: proc(5): VmRSS is RssAnon + RssFile + RssShmem; kB are KiB.
    """
    found: dict[bytes, int] = {}
    for line in data.splitlines():
        name, _, value = line.partition(b":")
        words = value.split()
        if words and name.startswith((b"Vm", b"Rss")):
            found[name] = int(words[0]) * 1024
    return Memory(
        rss=found.get(b"VmRSS", 0),
        anonymous=found.get(b"RssAnon", 0),
        file=found.get(b"RssFile", 0),
        shared=found.get(b"RssShmem", 0),
        peak=found.get(b"VmHWM", 0),
    )


def parse_io(data: bytes) -> tuple[int, int, int, int]:
    """Bytes read and written by system calls, then bytes read from and written to storage.

    Source: proc(5), /proc/PID/io: rchar, wchar, read_bytes, write_bytes.
    """
    found = dict(line.split(b": ", 1) for line in data.splitlines() if b": " in line)
    return (
        int(found.get(b"rchar", -1)),
        int(found.get(b"wchar", -1)),
        int(found.get(b"read_bytes", -1)),
        int(found.get(b"write_bytes", -1)),
    )


def parse_available(data: bytes) -> int:
    """MemAvailable of /proc/meminfo in bytes; -1 where the kernel does not tell."""
    for line in data.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == b"MemAvailable:":
            return int(words[1]) * 1024
    return -1
