"""Threads of a made-up /proc: one that has not run is not read again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.sampling.threads import ThreadReader, ThreadTable, parse_wait_channel
from tests.sampling.fake_proc import FakeFile, FakeProc, stat


@pytest.fixture(name="proc")
def proc_fixture(monkeypatch: pytest.MonkeyPatch) -> FakeProc:
    proc = FakeProc()
    monkeypatch.setattr("diagnose.sampling.threads.ProcFile", proc.open)
    monkeypatch.setattr("diagnose.sampling.threads.os.listdir", proc.listdir)
    return proc


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"futex_wait_queue", "futex_wait_queue"),
        (b"ep_poll\n", "ep_poll"),
        (b"hrtimer_nanosleep\0", "hrtimer_nanosleep"),
        (b"0", ""),
        (b"", ""),
    ],
)
def test_wait_channels(data: bytes, name: str) -> None:
    assert parse_wait_channel(data) == name


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=40))
def test_a_wait_channel_of_any_bytes(data: bytes) -> None:
    assert not parse_wait_channel(data).startswith("\0")


def test_all_of_a_thread(proc: FakeProc) -> None:
    proc.thread(8, b"5000000000 250000000 77")
    seen = ThreadReader(7, 8).read(8, details=True)
    assert (seen.tid, seen.name, seen.state, seen.core) == (8, "worker", "S", 1)
    assert (seen.user_s, seen.system_s) == (2.0, 0.0)
    assert (seen.run_s, seen.wait_s) == (5.0, 0.25)
    assert (seen.voluntary_switches, seen.involuntary_switches) == (12, 34)
    assert seen.wait_channel == "futex"


def test_without_details_they_are_told_to_be_missing(proc: FakeProc) -> None:
    proc.thread(8, b"5 2 1")
    seen = ThreadReader(7, 8).read(8, details=False)
    assert (seen.voluntary_switches, seen.involuntary_switches) == (-1, -1)
    assert seen.wait_channel == ""
    assert proc.taken() == ["schedstat", "stat"]


def test_one_that_has_not_run_is_not_read_again(proc: FakeProc) -> None:
    proc.thread(8, b"5 2 1")
    reader = ThreadReader(7, 8)
    first = reader.read(8, details=True)
    assert sorted(proc.taken()) == ["schedstat", "stat", "status", "wchan"]
    assert reader.read(8, details=True) == first
    assert proc.taken() == ["schedstat"]
    assert reader.read(8, details=False).wait_channel == ""
    assert proc.taken() == ["schedstat"]


def test_one_that_has_run_is_read_again(proc: FakeProc) -> None:
    proc.thread(8, b"5 2 1", wchan=b"futex")
    reader = ThreadReader(7, 8)
    reader.read(8, details=True)
    proc.thread(8, b"6 2 2", wchan=b"ep_poll")
    assert reader.read(8, details=False).run_s == 6e-9
    assert reader.read(8, details=True).wait_channel == "ep_poll"


def test_one_that_was_about_to_run_is_read_again(proc: FakeProc) -> None:
    """It may have gone to sleep without the kernel having charged it for anything yet."""
    proc.thread(8, b"5 2 1", state="R", wchan=b"0")
    reader = ThreadReader(7, 8)
    assert reader.read(8, details=True).wait_channel == ""
    proc.thread(8, b"5 2 1", state="S")
    seen = reader.read(8, details=True)
    assert (seen.state, seen.wait_channel) == ("S", "futex")


def test_wait_channels_that_this_user_may_not_see(
    proc: FakeProc, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc.thread(8, b"5 2 1")
    read = FakeFile.read

    def forbidden(file: FakeFile) -> bytes:
        if file.path.endswith("wchan"):
            raise PermissionError(file.path)
        return read(file)

    monkeypatch.setattr(FakeFile, "read", forbidden)
    assert ThreadReader(7, 8).read(8, details=True).wait_channel == ""


def test_a_reader_that_cannot_be_opened_leaves_nothing_open(proc: FakeProc) -> None:
    proc.files["/proc/7/task/8/stat"] = stat()
    with pytest.raises(FileNotFoundError):
        ThreadReader(7, 8)
    assert proc.opened == []


def test_threads_that_come_and_go(proc: FakeProc) -> None:
    proc.thread(8, b"1 1 1")
    table = ThreadTable(7)
    assert [thread.tid for thread in table.read(False, 1, False)] == [8]
    proc.thread(9, b"1 1 1")
    assert [thread.tid for thread in table.read(False, 2, False)] == [8, 9]
    proc.kill(8)
    assert [thread.tid for thread in table.read(False, 1, False)] == [9]
    table.close()
    assert proc.opened == []


def test_the_folder_is_listed_only_when_something_was_started(proc: FakeProc) -> None:
    proc.thread(8, b"1 1 1")
    table = ThreadTable(7)
    table.read(False, 1, False)
    proc.taken()
    table.read(False, 1, False)
    assert proc.taken() == ["schedstat"]
    table.read(False, 1, True)
    assert proc.taken() == ["listdir", "schedstat"]


def test_one_that_ended_while_another_began(proc: FakeProc) -> None:
    proc.thread(8, b"1 1 1")
    table = ThreadTable(7)
    table.read(False, 1, False)
    proc.kill(8)
    proc.thread(9, b"1 1 1")
    assert [thread.tid for thread in table.read(False, 1, True)] == [9]


def test_one_that_ends_between_the_listing_and_the_read(proc: FakeProc) -> None:
    proc.thread(8, b"1 1 1")
    proc.thread(9, b"1 1 1")
    table = ThreadTable(7)
    table.read(False, 2, False)
    proc.kill(9)
    assert [thread.tid for thread in table.read(False, 2, False)] == [8]
    table.close()
    assert proc.opened == []
