"""Resident memory of a process by kind, and its reads and writes."""

from __future__ import annotations

import msgspec


class Memory(msgspec.Struct, frozen=True):
    """Bytes of /proc/PID/status: RSS with its parts, and its peak since the start or the last
    reset."""

    rss: int
    anonymous: int
    file: int
    shared: int
    peak: int


def _kib(data: bytes, line: bytes) -> int:
    """The bytes that a line of KiB holds, -1 without the line. `line` begins with a line break.

    Searching for a few lines costs a tenth of taking all of them apart.

    Raises: ValueError when the number is cut off.
    """
    at = data.find(line)
    if at < 0:
        return -1
    number, _, _ = data[at + len(line) : at + len(line) + 32].lstrip().partition(b" ")
    return int(number) * 1024


def parse_memory(data: bytes) -> Memory:
    """The memory lines of a status file; a kernel thread or zombie has none of them: zeros.

    Raises: ValueError when one is cut off.
    Source: proc(5): VmRSS is RssAnon + RssFile + RssShmem; kB are KiB.
    """
    lines = b"\n" + data
    return Memory(
        rss=max(0, _kib(lines, b"\nVmRSS:")),
        anonymous=max(0, _kib(lines, b"\nRssAnon:")),
        file=max(0, _kib(lines, b"\nRssFile:")),
        shared=max(0, _kib(lines, b"\nRssShmem:")),
        peak=max(0, _kib(lines, b"\nVmHWM:")),
    )


def parse_pss(data: bytes) -> int:
    """Pss of /proc/PID/smaps_rollup in bytes; -1 where it is not there (a process without memory).

    Raises: ValueError when it is cut off.
    Source: proc(5), /proc/PID/smaps_rollup.
    """
    return _kib(b"\n" + data, b"\nPss:")


def parse_io(data: bytes) -> tuple[int, int, int, int, int, int]:
    """Bytes read and written by system calls, bytes read from and written to storage, and the
    numbers of these calls.

    Source: proc(5), /proc/PID/io: rchar, wchar, read_bytes, write_bytes, syscr, syscw.
    """
    found = dict(line.split(b": ", 1) for line in data.splitlines() if b": " in line)
    return (
        int(found.get(b"rchar", -1)),
        int(found.get(b"wchar", -1)),
        int(found.get(b"read_bytes", -1)),
        int(found.get(b"write_bytes", -1)),
        int(found.get(b"syscr", -1)),
        int(found.get(b"syscw", -1)),
    )


def parse_available(data: bytes) -> int:
    """MemAvailable of /proc/meminfo in bytes; -1 where the kernel does not tell.

    Raises: ValueError when it is cut off.
    """
    return _kib(b"\n" + data, b"\nMemAvailable:")
