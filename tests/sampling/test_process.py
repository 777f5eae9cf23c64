"""One process of a made-up /proc: what has not changed is not read again."""

from __future__ import annotations

import pytest

from diagnose.sampling.cpu import TICK_S
from diagnose.sampling.process import REFRESH_S, Asked, ProcessReader
from tests.sampling.fake_proc import FakeFile, FakeProc, stat

KIB = 1024
PLAIN = Asked(threads=False, forked=False)
IO = b"rchar: 11\nwchar: 12\nread_bytes: 13\nwrite_bytes: 14\n"


def status(rss: int, peak: int = 0) -> bytes:
    """A status file with so many KiB of RSS, half of it anonymous."""
    return (
        f"Name:\tx\nVmHWM:\t{peak or rss} kB\nVmRSS:\t{rss} kB\nRssAnon:\t{rss // 2} kB\n"
        f"RssFile:\t{rss // 4} kB\nRssShmem:\t{rss // 4} kB\n"
    ).encode()


@pytest.fixture(name="proc")
def proc_fixture(monkeypatch: pytest.MonkeyPatch) -> FakeProc:
    proc = FakeProc()
    for module in ("process", "threads"):
        monkeypatch.setattr(f"diagnose.sampling.{module}.ProcFile", proc.open)
    monkeypatch.setattr("diagnose.sampling.threads.os.listdir", proc.listdir)
    monkeypatch.setattr(ProcessReader, "_count_descriptors", lambda _: 9)
    proc.files |= {"/proc/7/stat": stat(rss=1), "/proc/7/status": status(400), "/proc/7/io": IO}
    proc.thread(7, b"1 1 1")
    return proc


def test_all_of_a_process(proc: FakeProc) -> None:
    proc.files["/proc/7/stat"] = stat(
        "R",
        "my server",
        ppid=3,
        utime=100,
        stime=50,
        cutime=30,
        cstime=20,
        num_threads=1,
        minflt=5,
        majflt=6,
        rss=100,
    )
    proc.files["/proc/7/status"] = status(400, peak=800)
    seen = ProcessReader(7).read(1.0, Asked(threads=True), pss=123)
    assert (seen.pid, seen.parent, seen.name, seen.thread_count) == (7, 3, "my server", 1)
    assert (seen.user_s, seen.system_s) == (100 * TICK_S, 50 * TICK_S)
    assert (seen.children_user_s, seen.children_system_s) == (30 * TICK_S, 20 * TICK_S)
    assert (seen.rss, seen.peak) == (400 * KIB, 800 * KIB)
    assert (seen.anonymous, seen.file, seen.shared) == (200 * KIB, 100 * KIB, 100 * KIB)
    assert (seen.read_bytes, seen.written_bytes, seen.disk_read, seen.disk_written) == (
        *(11, 12, 13, 14),
    )
    assert (seen.minor_faults, seen.major_faults) == (5, 6)
    assert (seen.descriptors, seen.pss, seen.peak_since) == (9, 123, 0.0)
    assert [thread.tid for thread in seen.threads] == [7]


def test_one_that_has_not_changed_is_one_read(proc: FakeProc) -> None:
    reader = ProcessReader(7)
    first = reader.read(1.0, PLAIN)
    proc.taken()
    assert reader.read(1.05, PLAIN) == first
    assert proc.taken() == ["stat"]


def test_memory_is_read_when_there_were_faults_or_the_rss_changed(proc: FakeProc) -> None:
    reader = ProcessReader(7)
    reader.read(1.0, PLAIN)
    proc.files["/proc/7/status"] = status(800)
    proc.files["/proc/7/stat"] = stat(rss=1, utime=5)
    assert reader.read(1.05, PLAIN).rss == 400 * KIB
    proc.files["/proc/7/stat"] = stat(rss=1, utime=6, minflt=1)
    assert reader.read(1.1, PLAIN).rss == 800 * KIB
    proc.files["/proc/7/status"] = status(1200)
    proc.files["/proc/7/stat"] = stat(rss=2, utime=6, minflt=1)
    assert reader.read(1.15, PLAIN).rss == 1200 * KIB


def test_everything_is_read_again_after_a_while(proc: FakeProc) -> None:
    reader = ProcessReader(7)
    reader.read(1.0, PLAIN)
    proc.files["/proc/7/io"] = IO.replace(b"11", b"99")
    proc.files["/proc/7/status"] = status(800)
    assert reader.read(1.0 + REFRESH_S / 2, PLAIN).read_bytes == 11
    seen = reader.read(1.0 + REFRESH_S, PLAIN)
    assert (seen.read_bytes, seen.rss) == (99, 800 * KIB)


def test_a_reading_with_threads_is_not_repeated_without_them(proc: FakeProc) -> None:
    reader = ProcessReader(7)
    assert reader.read(1.0, Asked(threads=True)).threads
    assert reader.read(1.05, PLAIN).threads == ()
    assert reader.read(1.1, Asked(threads=True, forked=False)).threads


def test_pss_is_told_once(proc: FakeProc) -> None:
    reader = ProcessReader(7)
    reader.read(1.0, PLAIN)
    assert reader.read(1.05, PLAIN, pss=5).pss == 5
    assert reader.read(1.1, PLAIN).pss == -1


def test_a_zombie_has_ended(proc: FakeProc) -> None:
    reader = ProcessReader(7)
    proc.files["/proc/7/stat"] = stat("Z")
    with pytest.raises(ProcessLookupError):
        reader.read(1.0, PLAIN)


def test_io_of_another_user(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be opened and not be read; other figures go on."""
    read = FakeFile.read

    def forbidden(file: FakeFile) -> bytes:
        if file.path.endswith("/io"):
            raise PermissionError(file.path)
        return read(file)

    monkeypatch.setattr(FakeFile, "read", forbidden)
    reader = ProcessReader(7)
    seen = reader.read(1.0, PLAIN)
    assert (seen.read_bytes, seen.disk_written, seen.rss) == (-1, -1, 400 * KIB)
    assert reader.read(2.0, PLAIN).read_bytes == -1
    reader.close()
    assert proc.opened == []


def test_io_that_cannot_be_opened(proc: FakeProc) -> None:
    del proc.files["/proc/7/io"]
    assert ProcessReader(7).read(1.0, PLAIN).read_bytes == -1


@pytest.mark.parametrize("missing", ["stat", "status"])
def test_one_that_ended_before_it_was_opened(proc: FakeProc, missing: str) -> None:
    del proc.files[f"/proc/7/{missing}"]
    with pytest.raises(FileNotFoundError):
        ProcessReader(7)
    assert proc.opened == []


def test_nothing_stays_open(proc: FakeProc) -> None:
    reader = ProcessReader(7)
    reader.read(1.0, Asked(threads=True, details=True))
    assert proc.opened
    reader.close()
    assert proc.opened == []
