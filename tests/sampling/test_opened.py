"""Files that processes write, by their descriptors."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from diagnose.model.samples import MOST_FILES, OpenFile
from diagnose.sampling.opened import NOTHING, OpenedReader, parse_flags

NO_PROCESS = 2**22 + 1


@pytest.fixture
def reader() -> Iterator[OpenedReader]:
    reader = OpenedReader(1)
    yield reader
    reader.close()


def files(reader: OpenedReader, now: float) -> dict[str, OpenFile]:
    seen = reader.read(now, [os.getpid()], False).files
    assert seen is not None
    return {file.path: file for file in seen.files}


def test_a_file_that_is_written_is_seen_grow(reader: OpenedReader, tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    with path.open("wb", buffering=0) as log, path.open("rb"):
        log.write(b"x" * 100)
        assert files(reader, 5.0)[str(path)] == OpenFile(str(path), 100, 5.0)
        log.write(b"x" * 23)
        assert files(reader, 6.0)[str(path)] == OpenFile(str(path), 123, 5.0)
    assert str(path) not in files(reader, 7.0)


def test_a_file_that_is_only_read_is_not_counted(reader: OpenedReader, tmp_path: Path) -> None:
    path = tmp_path / "static.html"
    path.write_bytes(b"x" * 100)
    with path.open("rb"):
        assert str(path) not in files(reader, 5.0)


def test_a_file_without_a_name_counts(reader: OpenedReader, tmp_path: Path) -> None:
    with tempfile.TemporaryFile(dir=tmp_path, buffering=0) as file:
        file.write(b"x" * 77)
        seen = [found for path, found in files(reader, 1.0).items() if str(tmp_path) in path]
    assert [found.size for found in seen] == [77]
    assert seen[0].path.endswith(" (deleted)")


def test_a_file_in_memory_is_memory(reader: OpenedReader) -> None:
    descriptor = os.memfd_create("body")
    try:
        os.write(descriptor, b"x" * 50)
        assert not [path for path in files(reader, 1.0) if "memfd" in path]
    finally:
        os.close(descriptor)


def test_many_files_are_summed_and_the_oldest_named(reader: OpenedReader, tmp_path: Path) -> None:
    with (tmp_path / "server.log").open("wb", buffering=0):
        before = reader.read(1.0, [os.getpid()], False).files
        assert before is not None
        with ExitStack() as spooled:
            for _ in range(40):
                file = spooled.enter_context(tempfile.TemporaryFile(dir=tmp_path, buffering=0))
                file.write(b"x" * 1000)
            after = reader.read(2.0, [os.getpid()], False).files
    assert after is not None
    assert after.count - before.count == 40
    # pytest's own files grow by what it prints meanwhile.
    assert 40_000 <= after.bytes - before.bytes < 41_000
    assert len(after.files) == MOST_FILES
    assert any(file.path == str(tmp_path / "server.log") for file in after.files)


def test_a_process_that_is_gone_leaves_nothing(reader: OpenedReader) -> None:
    assert reader.read(1.0, [NO_PROCESS], False) == NOTHING
    assert reader.read(2.0, [], False) == NOTHING


def test_connections_in_another_network_are_not_seen(reader: OpenedReader) -> None:
    assert reader.read(1.0, [os.getpid()], True).downstream is None
    assert reader.read(2.0, [os.getpid()], False).downstream is not None


@pytest.mark.parametrize(
    ("data", "flags"),
    [
        (b"pos:\t0\nflags:\t0102001\nmnt_id:\t1\n", 0o102001),
        (b"flags:\t02\n", 2),
        (b"flags: 0", 0),
    ],
)
def test_flags_are_octal(data: bytes, flags: int) -> None:
    assert parse_flags(data) == flags


@pytest.mark.parametrize("data", [b"", b"pos:\t0\n", b"flags:\t9\n", b"flags:\n"])
def test_flags_that_are_not_there_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_flags(data)
