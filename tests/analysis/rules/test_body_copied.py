"""body_copied: twice the body in memory."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.body_copied import check
from diagnose.model.finding import Verdict
from tests.analysis.waves import waved
from tests.builders import (
    GIB,
    MIB,
    UPLOAD,
    UPLOADS,
    evidence_of,
    make_launch,
    make_run,
    make_scenario,
    upload_run,
)


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        pytest.param(0.0, Verdict.CLEAR, id="streamed"),
        pytest.param(1.0, Verdict.CLEAR, id="held once"),
        pytest.param(1.449, Verdict.CLEAR, id="just under the clear limit"),
        pytest.param(1.451, Verdict.UNKNOWN, id="just over the clear limit"),
        pytest.param(1.799, Verdict.UNKNOWN, id="just under the limit"),
        pytest.param(1.801, Verdict.FOUND, id="just over the limit"),
        pytest.param(2.1, Verdict.FOUND, id="held twice"),
    ],
)
def test_growth_per_body_byte_decides(ratio: float, verdict: Verdict) -> None:
    answer = check(upload_run(in_flight=800 * MIB, growth=ratio * 800 * MIB))
    assert answer.verdict is verdict
    assert evidence_of(answer)["growth_per_body_byte"] == pytest.approx(ratio, abs=1e-4)


@pytest.mark.parametrize(
    ("in_flight", "verdict"), [(31 * MIB, Verdict.UNKNOWN), (33 * MIB, Verdict.FOUND)]
)
def test_enough_bytes_must_be_in_flight(in_flight: float, verdict: Verdict) -> None:
    assert check(upload_run(in_flight=in_flight, growth=2 * in_flight)).verdict is verdict


class TestCollectedHeaps:
    """Garbage of earlier bodies is no copy: only the first ones count."""

    @pytest.mark.parametrize("runtime", ["go", "node", "ruby"])
    def test_garbage_after_the_wave_does_not_count(self, runtime: str) -> None:
        assert check(waved(1.0, 2.5, runtime)).verdict is Verdict.CLEAR

    def test_it_does_where_nothing_is_collected(self) -> None:
        assert check(waved(1.0, 2.5, "cpython")).verdict is Verdict.FOUND

    @pytest.mark.parametrize("runtime", ["go", "node", "cpython"])
    def test_two_copies_in_the_wave_are_found(self, runtime: str) -> None:
        answer = check(waved(2.0, 2.0, runtime))
        assert answer.verdict is Verdict.FOUND
        assert evidence_of(answer)["growth_per_body_byte"] == pytest.approx(2.0, rel=0.02)

    def test_first_bodies_that_are_streamed_were_not_copied(self) -> None:
        """What each of them leaves behind grows with the answers."""
        answer = check(waved(0.06, 2.5, "native"))
        assert answer.verdict is Verdict.CLEAR
        assert "per byte: they are streamed" in answer.claim

    def test_without_a_wave_nothing_is_told(self) -> None:
        answer = check(upload_run(growth=2 * GIB, launch=make_launch(runtimes={1: "go"})))
        assert answer.verdict is Verdict.UNKNOWN
        assert "no phase" in answer.claim

    @pytest.mark.parametrize("runtime", ["jvm", "dotnet"])
    def test_lazy_ones_are_never_blamed(self, runtime: str) -> None:
        launch = make_launch(runtimes={1: runtime})
        assert check(upload_run(growth=2 * GIB, launch=launch)).verdict is Verdict.UNKNOWN
        assert check(upload_run(growth=0, launch=launch)).verdict is Verdict.CLEAR


def test_unknown_without_large_bodies() -> None:
    template = type(UPLOAD)("post", "POST", "/upload", body_length=4 * MIB - 1)
    answer = check(upload_run(growth=GIB, scenario=make_scenario(templates=(template,))))
    assert answer.verdict is Verdict.UNKNOWN
    assert "no large bodies" in answer.claim


@pytest.mark.parametrize("changes", [{"samples": ()}, {"ticks": ()}])
def test_unknown_without_samples(changes: dict[str, Any]) -> None:
    whole = upload_run(growth=2 * GIB)
    parts: dict[str, Any] = {"samples": whole.samples, "ticks": whole.ticks, **changes}
    assert check(make_run(scenario=UPLOADS, **parts)).verdict is Verdict.UNKNOWN


def test_memory_that_was_held_before_does_not_clear_it() -> None:
    launch = make_launch(attached=True, command=())
    answer = check(upload_run(in_flight=800 * MIB, baseline=2 * GIB, launch=launch))
    assert answer.verdict is Verdict.UNKNOWN
    assert "launch it fresh" in answer.claim
