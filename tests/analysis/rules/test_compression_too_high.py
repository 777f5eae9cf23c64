"""compression_too_high: level, its cost against a quick one, and its share."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.compression_too_high import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Coding, Run
from tests.analysis.working import plain_probe, profile, share_of
from tests.builders import evidence_of, make_load, make_run, make_samples, one_thread


def coding(level: int = 9, **changes: Any) -> Coding:
    """A body of 50 items: 2000 bytes at level 9, 2300 at level 1, in a third of the time."""
    figures: dict[str, Any] = {
        "name": "gzip", "bytes": 2000, "plain_bytes": 12_000, "lowest": level, "highest": level,
        "exact": True, "seconds": 0.0006, "quick_bytes": 2300, "quick_seconds": 0.0002, **changes,
    }  # fmt: skip
    return Coding(**figures)


def compressing(share: float | None, seen: Coding | None = None, **more: Any) -> Run:
    """share: of the profile in zlib; None: no profile was taken."""
    profiles = [] if share is None else [profile(share_of("deflate_slow", share))]
    return make_run(
        probes=(plain_probe(coding=seen or coding()),),
        profiles=profiles,
        samples=make_samples(one_thread(0.95)),
        **more,
    )


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        pytest.param(0.05, Verdict.CLEAR, id="it hardly matters"),
        pytest.param(0.11, Verdict.UNKNOWN, id="between"),
        pytest.param(0.29, Verdict.UNKNOWN, id="just under the limit"),
        pytest.param(0.31, Verdict.FOUND, id="just over the limit"),
        pytest.param(0.9, Verdict.FOUND, id="nearly all"),
    ],
)
def test_the_share_decides(share: float, verdict: Verdict) -> None:
    answer = check(compressing(share))
    assert answer.verdict is verdict
    assert evidence_of(answer)["compression_share"] == pytest.approx(share)


@pytest.mark.parametrize(
    ("level", "verdict"),
    [(1, Verdict.CLEAR), (5, Verdict.CLEAR), (6, Verdict.UNKNOWN), (7, Verdict.FOUND),
     (9, Verdict.FOUND)],
)  # fmt: skip
def test_the_level_decides(level: int, verdict: Verdict) -> None:
    assert check(compressing(0.8, coding(level))).verdict is verdict


def test_levels_that_cannot_be_told_apart() -> None:
    assert check(compressing(0.8, coding(5, highest=9))).verdict is Verdict.UNKNOWN
    assert check(compressing(0.8, coding(7, highest=9, exact=False))).verdict is Verdict.FOUND
    assert check(compressing(0.8, coding(5, highest=9, mark="best"))).verdict is Verdict.FOUND


def test_a_level_that_costs_nothing_is_clear() -> None:
    answer = check(compressing(0.8, coding(quick_seconds=0.0004)))
    assert answer.verdict is Verdict.CLEAR
    assert "as long" in answer.claim


def test_a_level_that_saves_much_is_clear() -> None:
    answer = check(compressing(0.8, coding(quick_bytes=8000)))
    assert answer.verdict is Verdict.CLEAR
    assert "would give" in answer.claim


def test_a_level_that_saves_a_third_in_ten_times_the_time_is_found() -> None:
    """1 MB of JSON by zlib: 149 kB in 52 ms at level 9, 210 kB in 4.6 ms at level 1."""
    seen = coding(bytes=148_696, quick_bytes=209_512, seconds=0.052, quick_seconds=0.0046)
    assert check(compressing(0.9, seen)).verdict is Verdict.FOUND


def test_the_claim_tells_what_a_quick_level_would_do() -> None:
    claim = check(compressing(0.8)).claim
    assert "gzip at level 9" in claim
    assert "33% of the time for 2.2 KiB instead of 2.0 KiB (+15%)" in claim


class TestWithoutAProfile:
    """0.6 ms for each of 1000 responses a second is 0.6 of the 0.95 cores that were used."""

    def test_the_time_that_it_takes_here_decides(self) -> None:
        answer = check(compressing(None))
        assert answer.verdict is Verdict.FOUND
        assert evidence_of(answer)["compression_share"] == pytest.approx(0.63, abs=0.01)

    def test_few_responses_make_a_small_share(self) -> None:
        answer = check(compressing(None, coding(seconds=0.00005, quick_seconds=0.00002)))
        assert answer.verdict is Verdict.CLEAR

    @pytest.mark.parametrize(
        "seen",
        [
            pytest.param(coding(exact=False), id="another encoder"),
            pytest.param(coding(seconds=0.003), id="more than the server used: made once"),
        ],
    )
    def test_unknown_where_it_says_nothing(self, seen: Coding) -> None:
        answer = check(compressing(None, seen))
        assert answer.verdict is Verdict.UNKNOWN
        assert "could not be told" in answer.claim


def test_a_long_body_is_not_tried() -> None:
    long = coding(-1, highest=-1, exact=False, seconds=0.0, quick_seconds=0.0, quick_bytes=0)
    answer = check(compressing(0.8, long))
    assert answer.verdict is Verdict.UNKNOWN
    assert "too long" in answer.claim


def test_of_several_answers_the_dearest_counts() -> None:
    run = make_run(
        probes=(plain_probe("get", coding=coding()), plain_probe("other", coding=coding(1))),
        profiles=[profile(share_of("deflate_slow", 0.8))],
        samples=make_samples(one_thread(0.95)),
    )
    assert check(run).verdict is Verdict.FOUND


def test_clear_without_compression_and_unknown_without_probes() -> None:
    assert check(make_run()).verdict is Verdict.CLEAR
    assert check(make_run(probes=())).verdict is Verdict.UNKNOWN
    assert check(compressing(0.8, load=None)).verdict is Verdict.UNKNOWN
    assert check(compressing(None, load=make_load(duration_s=0.0))).verdict is Verdict.UNKNOWN
