"""first_bodies: what memory held when all first bodies were in the server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from diagnose.analysis.first_bodies import first_bodies
from diagnose.analysis.rules import body_buffered
from diagnose.model.finding import Verdict
from tests.analysis.waves import waved
from tests.builders import MIB, make_launch, upload_run


@pytest.mark.parametrize("wave", [0.06, 1.0, 2.5])
def test_growth_for_each_byte(wave: float) -> None:
    seen = first_bodies(waved(wave, wave))
    assert seen is not None
    assert seen.held == pytest.approx(400 * MIB, rel=0.05)
    assert seen.ratio == pytest.approx(wave, rel=0.05)


def test_without_a_wave_there_is_none() -> None:
    assert first_bodies(upload_run(growth=800 * MIB)) is None


@pytest.mark.parametrize(
    ("attached", "share", "told"),
    [
        pytest.param(False, 0.12, True, id="launched"),
        pytest.param(True, 1.0, True, id="attached, and they do not fit in what was there"),
        pytest.param(True, 0.12, False, id="attached, and they do"),
    ],
)
def test_memory_that_was_there_before_may_hold_them(
    attached: bool, share: float, told: bool
) -> None:
    """64 MiB were held before the first 400 MiB of bodies, or 48."""
    run = waved(0.06, 3.0)
    launch = make_launch(command=() if attached else ("./my-server",), attached=attached)
    ticks = tuple(
        structs.replace(tick, body_in_flight=round(tick.body_in_flight * share))
        for tick in run.ticks
    )
    run = replace(run, ticks=ticks, manifest=replace(run.manifest, launch=launch))
    assert (first_bodies(run) is not None) is told


@pytest.mark.parametrize(
    ("wave", "verdict"),
    [
        pytest.param(0.13, Verdict.CLEAR, id="a leak of what was streamed"),
        pytest.param(0.93, Verdict.FOUND, id="held"),
    ],
)
def test_what_grows_with_the_answers_is_not_held_for_bodies(wave: float, verdict: Verdict) -> None:
    """A server in Go that streamed 32 bodies and kept a mebibyte of each grew by 3.6 bytes for
    each byte in flight, and by 0.13 with the first ones."""
    answer = body_buffered.check(waved(wave, 3.6))
    assert answer.verdict is verdict
