"""Reading runs: whole ones, killed ones, damaged ones, those of another version."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.errors import UsageError
from diagnose.model.profile import ProfileNote
from diagnose.model.run import SCHEMA, Run
from diagnose.store import layout
from diagnose.store.reader import parse_folded, read_run
from tests.builders import (
    UPLOADS,
    Process,
    ended,
    make_launch,
    make_profile,
    make_run,
    make_samples,
    make_ticks,
    upload_run,
    with_failures,
)
from tests.store.stored import store


def profiled() -> Run:
    """A run with one profile that worked and one that did not."""
    taken = make_profile()
    failed = ProfileNote("perf", 5002, "native", 0, 0, 0, "", "perf is not installed")
    whole = make_run(profiles=(taken,))
    return replace(whole, manifest=replace(whole.manifest, profiles=(taken.note, failed)))


WHOLE = {
    "healthy": make_run(),
    "uploads": upload_run(growth=2**30),
    "failures": make_run(load=with_failures({"refused": 3, "wrong_body": 4})),
    "dead": make_run(end=ended(-11, "window", "panic", "\x1b[31mred\x1b[0m")),
    "strange names": make_run(
        launch=make_launch(command=("./s", "a b", "'\"\n", "é\u2028"), name="名前"),
        scenario=UPLOADS,
        notes=("note with \u0000 and \\",),
    ),
}


@pytest.mark.parametrize("run", WHOLE.values(), ids=WHOLE.keys())
def test_a_whole_run_comes_back_the_same(tmp_path: Path, run: Run) -> None:
    directory = store(tmp_path, run)
    read = read_run(directory)
    assert read.directory == str(directory)
    assert read.manifest == run.manifest
    assert read.samples == run.samples
    assert read.ticks == run.ticks
    assert read.load == run.load


def test_profiles_come_back_with_their_notes(tmp_path: Path) -> None:
    run = profiled()
    read = read_run(store(tmp_path, run))
    assert read.profiles == run.profiles
    assert read.profiles[0].weight == 100
    assert read.manifest.profiles == run.manifest.profiles


class TestCutOff:
    """Whatever was killed while writing."""

    @pytest.mark.parametrize("name", [layout.SAMPLES, layout.TICKS])
    def test_a_last_line_cut_anywhere_is_left_out(self, tmp_path: Path, name: str) -> None:
        small = make_samples((Process(),), host_busy=(0.5,))[:3]
        directory = store(tmp_path, make_run(samples=small, ticks=make_ticks()[:3]))
        path = directory / name
        lines = path.read_bytes().splitlines(keepends=True)
        for length in range(len(lines[2]) - 1):
            path.write_bytes(lines[0] + lines[1] + lines[2][:length])
            read = read_run(directory)
            rows = read.samples if name == layout.SAMPLES else read.ticks
            assert len(rows) == 2, f"cut after {length} bytes"
        path.write_bytes(b"".join(lines)[:-1])
        read = read_run(directory)
        assert len(read.samples if name == layout.SAMPLES else read.ticks) == 3

    def test_a_damaged_line_in_the_middle_is_left_out_and_named(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        directory = store(tmp_path, make_run())
        path = directory / layout.TICKS
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(lines[0] + b"\x00\xff garbage\n" + b"[1,2]\n" + b"".join(lines[1:]))
        with caplog.at_level(logging.WARNING, "diagnose.store.reader"):
            read = read_run(directory)
        assert len(read.ticks) == len(lines)
        assert "load.jsonl, line 2 left out" in caplog.text
        assert "load.jsonl, line 3 left out" in caplog.text

    @pytest.mark.parametrize(
        ("missing", "part"),
        [
            (layout.SAMPLES, "samples"),
            (layout.TICKS, "ticks"),
            (layout.LOAD, "load"),
            (layout.LATENCY, ""),
        ],
    )
    def test_a_missing_file_is_empty(self, tmp_path: Path, missing: str, part: str) -> None:
        run = make_run()
        directory = store(tmp_path, run)
        (directory / missing).unlink()
        read = read_run(directory)
        for name in ("samples", "ticks", "load"):
            assert bool(getattr(read, name)) == (name != part)

    def test_a_missing_profile_is_left_out(self, tmp_path: Path) -> None:
        run = profiled()
        directory = store(tmp_path, run)
        (directory / layout.PROFILES / run.profiles[0].note.file).unlink()
        assert read_run(directory).profiles == ()

    def test_only_the_manifest_is_needed(self, tmp_path: Path) -> None:
        directory = store(tmp_path, make_run())
        for path in directory.iterdir():
            if path.is_file() and path.name != layout.MANIFEST:
                path.unlink()
        read = read_run(directory)
        assert (read.samples, read.ticks, read.load) == ((), (), None)
        assert read.manifest == make_run().manifest


class TestRefused:
    """Not a run, damaged, or of another version: said in one line."""

    def test_a_directory_without_a_manifest(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"not a run directory.*No such file"):
            read_run(tmp_path)

    @pytest.mark.parametrize("name", ["nothing", "file"])
    def test_what_is_no_directory(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UsageError, match=f"{name} is not a run directory"):
            read_run(tmp_path / name)

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"{", id="cut"),
            pytest.param(b"\xff\xfe", id="binary"),
            pytest.param(b"[1]", id="list"),
            pytest.param(b'{"schema": 1}', id="fields missing"),
            pytest.param(b'{"schema": 1, "version": 2}', id="wrong type"),
        ],
    )
    def test_a_damaged_manifest(self, tmp_path: Path, data: bytes) -> None:
        directory = store(tmp_path, make_run())
        (directory / layout.MANIFEST).write_bytes(data)
        with pytest.raises(UsageError, match=r"run\.json is damaged"):
            read_run(directory)

    @pytest.mark.parametrize("schema", [SCHEMA + 1, 0, None, "1"])
    def test_another_version(self, tmp_path: Path, schema: object) -> None:
        directory = store(tmp_path, make_run())
        path = directory / layout.MANIFEST
        document = msgspec.json.decode(path.read_bytes())
        path.write_bytes(msgspec.json.encode({**document, "schema": schema, "scenario": 7}))
        with pytest.raises(UsageError, match=f"schema {schema}, this version reads schema 1"):
            read_run(directory)

    def test_a_field_of_a_later_version_is_not_in_the_way(self, tmp_path: Path) -> None:
        directory = store(tmp_path, make_run())
        path = directory / layout.MANIFEST
        document = msgspec.json.decode(path.read_bytes())
        path.write_bytes(msgspec.json.encode({**document, "later": {"x": 1}}))
        assert read_run(directory).manifest == make_run().manifest

    @pytest.mark.parametrize("data", [b"", b'{"connections": 1}', b"null"])
    def test_a_damaged_result(self, tmp_path: Path, data: bytes) -> None:
        directory = store(tmp_path, make_run())
        (directory / layout.LOAD).write_bytes(data)
        with pytest.raises(UsageError, match=r"load\.json is damaged"):
            read_run(directory)

    @pytest.mark.parametrize("name", [layout.LOAD, layout.SAMPLES])
    def test_a_file_that_cannot_be_read(self, tmp_path: Path, name: str) -> None:
        directory = store(tmp_path, make_run())
        (directory / name).unlink()
        (directory / name).mkdir()
        with pytest.raises(UsageError):
            read_run(directory)


class TestFolded:
    """Collapsed stacks."""

    @pytest.mark.parametrize(
        ("text", "stacks"),
        [
            pytest.param("", (), id="nothing"),
            pytest.param("a;b;c 3\n", ((("a", "b", "c"), 3),), id="one"),
            pytest.param("a 1\nb 2", ((("a",), 1), (("b",), 2)), id="no end of line"),
            pytest.param(
                "f (x.py:1);operator new (int) 12\n",
                ((("f (x.py:1)", "operator new (int)"), 12),),
                id="spaces in frames",
            ),
            pytest.param("a;b\n", (), id="no count"),
            pytest.param("a;b (x.py:1\n", (), id="cut off"),
            pytest.param("7\n", (), id="no frames"),
            pytest.param("a -1\nb 1.5\nc x\n\n", (), id="no numbers"),
        ],
    )
    def test_lines_are_stacks(
        self, text: str, stacks: tuple[tuple[tuple[str, ...], int], ...]
    ) -> None:
        assert parse_folded(text) == stacks

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.lists(
                    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).filter(
                        lambda frame: ";" not in frame
                    ),
                    min_size=1,
                ).map(tuple),
                st.integers(0, 10**9),
            )
        ).map(tuple)
    )
    def test_written_stacks_come_back(
        self, stacks: tuple[tuple[tuple[str, ...], int], ...]
    ) -> None:
        text = "".join(f"{';'.join(frames)} {count}\n" for frames, count in stacks)
        assert parse_folded(text) == stacks

    def test_cut_anywhere_it_gives_whole_stacks_only(self) -> None:
        text = "main;handle (app.py:20);dumps 80\nmain;idle 20\n"
        for length in range(len(text)):
            for frames, _ in parse_folded(text[:length]):
                assert frames in (("main", "handle (app.py:20)", "dumps"), ("main", "idle"))
