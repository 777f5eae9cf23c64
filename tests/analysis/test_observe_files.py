"""Files that grow with the responses, and those that come with bodies."""

from __future__ import annotations

import pytest

from diagnose.analysis.observe_files import growing_files, spooled
from diagnose.model.samples import FilesSample, OpenFile
from tests.analysis.working import growing, one_file, with_files
from tests.builders import COOLDOWN, IDLE, MIB, WARMUP, make_run, make_samples, upload_run


def test_growth_is_held_against_responses() -> None:
    samples = with_files(make_samples(), one_file("/var/log/a.log", growing(50)))
    (file,) = growing_files(make_run(samples=samples)) or []
    assert file.path == "/var/log/a.log"
    assert file.per_response == pytest.approx(50, rel=0.02)


def test_the_fastest_comes_first_and_what_stays_is_left_out() -> None:
    def files(t: float) -> FilesSample:
        rows = tuple(
            OpenFile(f"/{name}", int(growing(each)(t)), IDLE)
            for name, each in (("slow", 5), ("fast", 80), ("still", 0))
        )
        return FilesSample(rows, 3, sum(row.size for row in rows))

    found = growing_files(make_run(samples=with_files(make_samples(), files))) or []
    assert [file.path for file in found] == ["/fast", "/slow"]


def test_none_without_two_looks_or_responses() -> None:
    samples = with_files(make_samples(), one_file("/a", growing(50)), every=1000)
    assert growing_files(make_run(samples=samples)) is None
    assert growing_files(make_run()) is None
    samples = with_files(make_samples(), one_file("/a", growing(50)))
    assert growing_files(make_run(samples=samples, ticks=())) is None


def test_a_database_that_was_open_before_is_no_body() -> None:
    run = upload_run(in_flight=800 * MIB)
    database = OpenFile("/srv/data.db", 900 * MIB, IDLE)

    def files(t: float) -> FilesSample:
        loaded = WARMUP <= t <= COOLDOWN
        rows = (database, OpenFile("/tmp/x (deleted)", MIB, t)) if loaded else (database,)
        return FilesSample(rows, len(rows), sum(row.size for row in rows))

    samples = with_files(run.samples, files)
    seen = spooled(make_run(samples=samples, ticks=run.ticks))
    assert seen is not None
    assert (seen.files, seen.bytes, seen.example) == (1, MIB, "/tmp/x (deleted)")
    assert seen.bodies == pytest.approx(800 * MIB, rel=0.05)


def test_none_where_files_were_not_looked_at_before() -> None:
    run = upload_run(in_flight=800 * MIB)
    late = with_files(
        [sample for sample in run.samples if sample.t >= WARMUP], one_file("/a", growing(5))
    )
    assert spooled(make_run(samples=late, ticks=run.ticks)) is None
    assert spooled(run) is None
