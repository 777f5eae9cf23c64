"""Uploads that begin with a wave of first bodies."""

from __future__ import annotations

from diagnose.model.run import Run
from tests.builders import (
    MIB,
    UPLOADS,
    WARMUP,
    WAVE,
    WINDOW,
    Process,
    Thread,
    make_launch,
    make_phases,
    make_run,
    make_samples,
    make_ticks,
    ramp,
)


def waved(wave: float, later: float, runtime: str = "go") -> Run:
    """A server whose memory grows to `wave` with the first 400 MiB of bodies, to `later` after."""
    bodies = ramp((WAVE, 0), (WARMUP - 0.05, 400 * MIB), (WARMUP + 0.5, 200 * MIB))
    memory = ramp(
        (WAVE, 64 * MIB),
        (WARMUP - 0.05, 64 * MIB + wave * 400 * MIB),
        (WINDOW, 64 * MIB + later * 400 * MIB),
    )
    process = Process(threads=(Thread(1, 0.9),), anonymous=memory)
    return make_run(
        samples=make_samples((process,)),
        ticks=make_ticks(start=WAVE, body_in_flight=bodies),
        scenario=UPLOADS,
        phases=make_phases(wave=True),
        launch=make_launch(runtimes={4242: runtime}),
    )
