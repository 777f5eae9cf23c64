"""Memory and bytes read and written, from captured files of /proc and from parts of them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from diagnose.sampling.memory import Memory, parse_available, parse_io, parse_memory

DATA = Path(__file__).parents[1] / "data" / "sampling"
STATUS = (DATA / "process.status").read_bytes()
IO = (DATA / "process.io").read_bytes()
MEMINFO = (DATA / "meminfo").read_bytes()
KIB = 1024


def test_captured_memory() -> None:
    memory = parse_memory(STATUS)
    assert memory == Memory(
        rss=46640 * KIB,
        anonymous=38316 * KIB,
        file=7300 * KIB,
        shared=1024 * KIB,
        peak=47392 * KIB,
    )
    assert memory.rss == memory.anonymous + memory.file + memory.shared


@pytest.mark.parametrize("file", ["kernel_thread.status", "zombie.status"])
def test_processes_without_memory(file: str) -> None:
    assert parse_memory((DATA / file).read_bytes()) == Memory(0, 0, 0, 0, 0)


def test_kernels_without_the_parts() -> None:
    """RssAnon and its neighbours came with Linux 4.5."""
    old = b"Name:\tx\nVmHWM:\t     200 kB\nVmRSS:\t     100 kB\nThreads:\t1\n"
    assert parse_memory(old) == Memory(100 * KIB, 0, 0, 0, 200 * KIB)


def test_a_name_does_not_pass_for_memory() -> None:
    assert parse_memory(b"Name:\tVmRSS: 5 kB\nVmRSS:\t 7 kB\n").rss == 7 * KIB


def test_terabytes() -> None:
    assert parse_memory(b"VmRSS:\t4294967296 kB\n").rss == 4 << 40


def test_memory_cut_off_between_lines() -> None:
    lines = STATUS.splitlines(keepends=True)
    whole = parse_memory(STATUS)
    for count in range(len(lines)):
        memory = parse_memory(b"".join(lines[:count]))
        assert memory.rss in (0, whole.rss)
        assert memory.shared in (0, whole.shared)


def test_memory_cut_off_anywhere() -> None:
    for cut in range(len(STATUS)):
        with suppress(ValueError):
            assert parse_memory(STATUS[:cut]).rss <= parse_memory(STATUS).rss


# -- reads and writes ---------------------------------------------------------------------------


def test_captured_io() -> None:
    assert parse_io(IO) == (2090350, 30001786, 8192, 30072832, 192, 11)


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"", (-1, -1, -1, -1, -1, -1)),
        (b"rchar: 5\n", (5, -1, -1, -1, -1, -1)),
        (b"write_bytes: 4\nread_bytes: 3\nwchar: 2\nrchar: 1\n", (1, 2, 3, 4, -1, -1)),
        (b"rchar: 1\nsyscr: 9\ncancelled_write_bytes: 7\n", (1, -1, -1, -1, 9, -1)),
        (b"rchar: 18446744073709551615\n", (2**64 - 1, -1, -1, -1, -1, -1)),
    ],
    ids=["empty", "one", "other_order", "others", "64_bits"],
)
def test_io(data: bytes, seen: tuple[int, int, int, int, int, int]) -> None:
    assert parse_io(data) == seen


def test_io_cut_off_anywhere() -> None:
    """A figure is whole, its beginning, not there, or the file is refused; never another one."""
    whole = parse_io(IO)
    for cut in range(len(IO)):
        try:
            seen = parse_io(IO[:cut])
        except ValueError:
            assert IO[:cut].endswith(b": ")
            continue
        for figure, true in zip(seen, whole, strict=True):
            assert figure == -1 or str(true).startswith(str(figure))


# -- memory of the host -------------------------------------------------------------------------


def test_captured_meminfo() -> None:
    assert parse_available(MEMINFO) == 20483868 * KIB


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"MemTotal: 8 kB\nMemFree: 4 kB\nMemAvailable:    6 kB\nCached: 1 kB\n", 6 * KIB),
        (b"MemAvailable: 0 kB\n", 0),
        (b"MemTotal: 8 kB\nMemFree: 4 kB\n", -1),
        (b"", -1),
    ],
    ids=["line", "zero", "old_kernel", "empty"],
)
def test_available(data: bytes, seen: int) -> None:
    assert parse_available(data) == seen


def test_available_cut_off_anywhere() -> None:
    for cut in range(len(MEMINFO)):
        with suppress(ValueError):
            assert parse_available(MEMINFO[:cut]) <= parse_available(MEMINFO)
