"""body_spooled: bodies in files that came with the load."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from diagnose.analysis.rules.body_spooled import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from diagnose.model.samples import FilesSample, OpenFile
from tests.analysis.working import with_files
from tests.builders import (
    COOLDOWN,
    IDLE,
    MIB,
    UPLOADS,
    WARMUP,
    evidence_of,
    make_load,
    make_run,
    make_scenario,
    upload_run,
)

LOG = OpenFile("/runs/x/server.log", 100, IDLE)


def spooling(
    share: float, *, bodies: float = 800 * MIB, stored: float = 0.0, log: int = 100, **changes: Any
) -> Run:
    """A server that has a share of the bodies in flight in files, and writes to storage."""
    run = upload_run(in_flight=bodies, growth=0, load=make_load(body_sent=4000 * MIB), **changes)

    def files(t: float) -> FilesSample:
        loaded = WARMUP <= t <= COOLDOWN
        ours = msgspec.structs.replace(LOG, size=log if loaded else 100)
        spooled = int(share * bodies) if loaded else 0
        extra = (OpenFile("/tmp/tmpa1 (deleted)", spooled // 32, t),) if spooled else ()
        return FilesSample((ours, *extra), 1 + 32 * bool(spooled), ours.size + spooled)

    samples = [
        msgspec.structs.replace(
            sample,
            processes=tuple(
                msgspec.structs.replace(
                    process,
                    disk_written=int(stored * 4000 * MIB * max(0.0, sample.t - WARMUP) / 6),
                )
                for process in sample.processes
            ),
        )
        for sample in run.samples
    ]
    return make_run(
        samples=with_files(samples, files),
        ticks=run.ticks,
        load=run.load,
        scenario=run.manifest.scenario,
    )


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        pytest.param(0.0, Verdict.CLEAR, id="streamed"),
        pytest.param(0.09, Verdict.CLEAR, id="just under the clear limit"),
        pytest.param(0.11, Verdict.UNKNOWN, id="just over the clear limit"),
        pytest.param(0.49, Verdict.UNKNOWN, id="just under the limit"),
        pytest.param(0.51, Verdict.FOUND, id="just over the limit"),
        pytest.param(0.95, Verdict.FOUND, id="all"),
    ],
)
def test_bytes_in_new_files_decide(share: float, verdict: Verdict) -> None:
    answer = check(spooling(share))
    assert answer.verdict is verdict
    assert evidence_of(answer)["in_new_files_per_body_byte"] == pytest.approx(share, abs=0.01)


def test_one_of_the_files_is_named() -> None:
    answer = check(spooling(0.9))
    assert "32 files" in answer.claim
    assert "/tmp/tmpa1 (deleted)" in answer.claim


def test_a_log_that_grows_is_no_body() -> None:
    assert check(spooling(0.0, log=700 * MIB)).verdict is Verdict.CLEAR


@pytest.mark.parametrize(
    ("stored", "verdict"),
    [(0.05, Verdict.CLEAR), (0.3, Verdict.UNKNOWN), (0.9, Verdict.FOUND)],
)
def test_bytes_to_storage_decide_too(stored: float, verdict: Verdict) -> None:
    """As for files that are closed before the next look."""
    answer = check(spooling(0.0, stored=stored))
    assert answer.verdict is verdict
    if verdict is Verdict.FOUND:
        assert "written to storage" in answer.claim


def test_little_in_flight_tells_nothing() -> None:
    answer = check(spooling(0.0, bodies=10 * MIB))
    assert answer.verdict is Verdict.UNKNOWN
    assert "only 10.0 MiB" in answer.claim
    assert check(spooling(0.9, bodies=17 * MIB)).verdict is Verdict.UNKNOWN
    assert check(spooling(0.9, bodies=20 * MIB)).verdict is Verdict.FOUND


def test_unknown_without_large_bodies() -> None:
    answer = check(spooling(0.9, scenario=make_scenario()))
    assert answer.verdict is Verdict.UNKNOWN
    assert "no large bodies" in answer.claim


def test_unknown_where_nothing_could_be_read() -> None:
    run = upload_run(in_flight=800 * MIB)
    unread = [
        msgspec.structs.replace(
            sample,
            processes=tuple(
                msgspec.structs.replace(process, disk_written=-1) for process in sample.processes
            ),
        )
        for sample in run.samples
    ]
    answer = check(make_run(samples=unread, ticks=run.ticks, scenario=UPLOADS, load=run.load))
    assert answer.verdict is Verdict.UNKNOWN
    assert "neither" in answer.claim
