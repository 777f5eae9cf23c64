"""What profiling cost: the throughput of the profiled window against that of the measured one."""

from __future__ import annotations

from diagnose.model.run import Run

# The rate of so many responses is known to a tenth (its Poisson deviation is 1/sqrt(100)).
MIN_RESPONSES = 100
# A shorter window is the beginning of one.
MIN_WINDOW_S = 0.5


def profiled_share(run: Run) -> float | None:
    """Right responses per second while profilers looked, as a share of those without them.

    None where no profile was taken, or too few responses tell.
    """
    load, profiled = run.load, run.manifest.profiled_rps
    if load is None or load.duration_s < MIN_WINDOW_S or load.rps <= 0 or load.ok < MIN_RESPONSES:
        return None
    if profiled is None or not any(note.file for note in run.manifest.profiles):
        return None
    return profiled / load.rps
