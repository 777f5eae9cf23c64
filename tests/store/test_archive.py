"""Archives of bundles: the same files give the same bytes, strange ones are refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from diagnose.errors import UsageError
from diagnose.store import archive

FILES = {"run/run.json": b"{}", "REPORT.md": b"# x", "reproduce.sh": b"#!/bin/sh\n"}


def test_the_same_files_give_the_same_bytes() -> None:
    assert archive.pack("b", FILES) == archive.pack("b", dict(reversed(FILES.items())))


def test_entries_have_no_owner_and_no_time(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(archive.pack("b", FILES))
    with tarfile.open(path) as packed:
        entries = packed.getmembers()
    assert [entry.name for entry in entries] == ["b/REPORT.md", "b/reproduce.sh", "b/run/run.json"]
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in entries} == {
        (0, 0, 0, "")
    }
    assert [entry.mode for entry in entries] == [0o644, 0o755, 0o644]


def test_a_bundle_is_unpacked_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(archive.pack("b", FILES))
    assert archive.is_archive(path)
    with archive.unpacked(path) as run:
        assert (run / "run.json").read_bytes() == b"{}"
    assert not run.exists()


def packed(*entries: tarfile.TarInfo, data: bytes = b"") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for entry in entries:
            entry.size = len(data) if entry.isfile() else 0
            made.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def link(name: str, target: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no archive", id="no archive"),
        pytest.param(archive.pack("b", FILES)[:-40], id="cut off"),
        pytest.param(archive.pack("b", {"x": b"y"}), id="no run"),
        pytest.param(packed(tarfile.TarInfo("../../outside"), data=b"x"), id="outside"),
        pytest.param(packed(tarfile.TarInfo("/etc/outside"), data=b"x"), id="absolute"),
        pytest.param(packed(link("b/run/run.json", "/etc/passwd")), id="a link"),
    ],
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"x\.tar\.gz"), archive.unpacked(path):
        pass
    assert not (tmp_path.parent / "outside").exists()


def test_what_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_UNPACKED", 5)
    path = tmp_path / "x.tar.gz"
    path.write_bytes(archive.pack("b", FILES))
    with pytest.raises(UsageError, match="too much"), archive.unpacked(path):
        pass
