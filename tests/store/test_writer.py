"""The run directory as it is written: names, wholeness, formats for other tools."""

from __future__ import annotations

import os
import random
from pathlib import Path

import msgspec
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from diagnose.errors import UsageError
from diagnose.load.histogram import Histogram
from diagnose.model.finding import Finding
from diagnose.model.load import LoadTick
from diagnose.store import layout
from diagnose.store.writer import RunWriter, write_findings, write_report, write_whole
from tests.builders import (
    evidence_of,
    make_finding,
    make_load,
    make_manifest,
    make_run,
    make_ticks,
)
from tests.store.stored import CREATED, store


def files(directory: Path) -> set[str]:
    """Everything below a directory, hidden files too."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


class TestDirectory:
    """Its place and name."""

    @pytest.mark.parametrize(
        ("label", "name"),
        [
            pytest.param("go-baseline-c64", "go-baseline-c64", id="plain"),
            pytest.param("go-json@2026-04-c64", "go-json@2026-04-c64", id="round"),
            pytest.param("../../etc/passwd", "..-..-etc-passwd", id="path"),
            pytest.param("a b\n$(c)", "a-b-c", id="shell"),
            pytest.param("-x-", "x", id="dashes"),
            pytest.param("x" * 300, "x" * 80, id="long"),
        ],
    )
    def test_is_named_after_time_and_label(self, tmp_path: Path, label: str, name: str) -> None:
        writer = RunWriter(tmp_path, CREATED, label)
        writer.close()
        assert writer.path == tmp_path / f"20260401-123015-{name}"
        assert writer.path.parent == tmp_path

    def test_of_the_same_second_gets_a_number(self, tmp_path: Path) -> None:
        names = [store(tmp_path, make_run(), "x").name for _ in range(3)]
        assert names == [
            "20260401-123015-x",
            "20260401-123015-x-2",
            "20260401-123015-x-3",
        ]

    def test_of_the_hundredth_is_refused(self, tmp_path: Path) -> None:
        for number in range(1, 100):
            name = "20260401-123015-x" + (f"-{number}" if number > 1 else "")
            (tmp_path / name).mkdir()
        with pytest.raises(UsageError, match="already holds 99 runs"):
            RunWriter(tmp_path, CREATED, "x")

    def test_has_its_parents_made(self, tmp_path: Path) -> None:
        writer = RunWriter(tmp_path / "a" / "b", CREATED, "x")
        writer.close()
        assert writer.path.parent == tmp_path / "a" / "b"
        assert writer.profiles_path.is_dir()

    def test_below_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UsageError, match=r"cannot write a run below .*file.* -o"):
            RunWriter(tmp_path / "file", CREATED, "x")

    def test_where_nothing_may_be_written_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(UsageError, match="Permission denied") as caught:
            RunWriter(tmp_path, CREATED, "x")
        assert caught.value.exit_code == 2


class TestRows:
    """Ticks are on disk when they are taken."""

    def test_a_tick_is_there_before_the_file_is_closed(self, tmp_path: Path) -> None:
        writer = RunWriter(tmp_path, CREATED, "x")
        written = make_ticks()[:3]
        try:
            for count, tick in enumerate(written, 1):
                writer.tick(tick)
                lines = (writer.path / layout.TICKS).read_bytes().splitlines()
                assert len(lines) == count
        finally:
            writer.close()
        assert [msgspec.json.decode(line, type=LoadTick) for line in lines] == list(written)


class TestWhole:
    """A file holds all of the data or what it held before."""

    def test_a_run_leaves_no_part_files(self, tmp_path: Path) -> None:
        directory = store(tmp_path, make_run())
        write_findings(directory, [make_finding()])
        assert files(directory) == {
            layout.MANIFEST,
            layout.SAMPLES,
            layout.TICKS,
            layout.LOAD,
            layout.LATENCY,
            layout.FINDINGS,
        }

    def test_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "x.json"
        write_whole(path, b"a" * 100)
        write_whole(path, b"b")
        assert path.read_bytes() == b"b"
        assert files(tmp_path) == {"x.json"}

    @pytest.mark.parametrize(
        ("owner", "name"),
        [pytest.param(Path, "write_bytes", id="writing"), pytest.param(os, "replace", id="moving")],
    )
    def test_keeps_what_it_held_when_writing_fails(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
    ) -> None:
        path = tmp_path / "x.json"
        write_whole(path, b"before")

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(owner, name, fail)
        with pytest.raises(OSError, match="No space left"):
            write_whole(path, b"after")
        assert path.read_bytes() == b"before"

    def test_the_manifest_is_replaced(self, tmp_path: Path) -> None:
        writer = RunWriter(tmp_path, CREATED, "x")
        writer.manifest(make_manifest(state="running"))
        writer.manifest(make_manifest(state="complete"))
        writer.close()
        text = (writer.path / layout.MANIFEST).read_bytes()
        assert msgspec.json.decode(text)["state"] == "complete"
        assert text.count(b"\n") > 20, "people read it too"


def test_findings_come_back_with_their_evidence(tmp_path: Path) -> None:
    findings = [make_finding(), make_finding("errors", claim='quote " and \x1b')]
    write_findings(tmp_path, findings)
    data = (tmp_path / layout.FINDINGS).read_bytes()
    read = msgspec.json.decode(data, type=list[Finding])
    assert read == findings
    assert evidence_of(read[0]) == {"top_thread_busy": 0.97}


def test_reports_are_written_beside_the_run(tmp_path: Path) -> None:
    paths = write_report(tmp_path, {"report.md": b"# x", "cpu.png": b"\x89PNG"})
    assert paths == [tmp_path / "report.md", tmp_path / "cpu.png"]
    assert [path.read_bytes() for path in paths] == [b"# x", b"\x89PNG"]


class TestLatencyLog:
    """latency.hlog is read by the tools of HdrHistogram."""

    def read(self, path: Path) -> HdrHistogram:
        """The only interval of a log."""
        reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000, 3))
        try:
            found = reader.get_next_interval_histogram()
            assert found is not None
            assert reader.get_next_interval_histogram() is None
        finally:
            reader.close()
        return found

    def store_latencies(self, parent: Path, seconds: list[float]) -> tuple[Histogram, Path]:
        """A run with these latencies."""
        ours = Histogram()
        ours.record(seconds)
        load = make_load(histogram=ours.counts(), latency=ours.latency())
        return ours, store(parent, make_run(load=load)) / layout.LATENCY

    def test_has_the_same_percentiles(self, tmp_path: Path) -> None:
        random.seed(7)
        seconds = [random.lognormvariate(-6, 2) for _ in range(5000)]
        ours, path = self.store_latencies(tmp_path, seconds)
        theirs = self.read(path)
        assert theirs.get_total_count() == 5000
        for percent in (0.1, 50, 90, 99, 99.9, 100):
            value = theirs.get_value_at_percentile(percent)
            low = theirs.get_lowest_equivalent_value(value)
            high = theirs.get_highest_equivalent_value(value)
            # Ours is the middle of the bucket that theirs gives the end of.
            assert low - 0.5 <= ours.percentile(percent) * 1e6 <= high + 0.5

    @pytest.mark.parametrize(
        "microseconds",
        [1, 2, 1023, 1024, 2047, 2048, 2049, 4095, 4096, 1_000_000, 59_999_999, 3_599_000_000],
    )
    def test_every_bucket_is_its_own(self, tmp_path: Path, microseconds: int) -> None:
        _, path = self.store_latencies(tmp_path, [microseconds / 1e6] * 3)
        theirs = self.read(path)
        assert theirs.get_total_count() == 3
        assert theirs.values_are_equivalent(theirs.get_max_value(), microseconds)

    def test_is_left_out_where_nothing_was_answered(self, tmp_path: Path) -> None:
        directory = store(tmp_path, make_run(load=make_load(histogram={})))
        assert layout.LATENCY not in files(directory)
        assert layout.LOAD in files(directory)
