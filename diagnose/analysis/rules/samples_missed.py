"""The sampler did not get to sample: what happened in the gaps is not known.

Seen by the samples that were taken in the window against those due at the rate of the run, and by
the longest gap. Causes that rest on CPU or memory samples are then held back.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import usage
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.VALIDITY
NEEDS: tuple[str, ...] = ()

# Means over a window bear a third of the samples missing; peaks do not bear longer gaps.
TAKEN_SHARE = 0.6
LONGEST_GAP_S = 1.0


def check(run: Run) -> Finding:
    """Found when too many samples are missing or one gap is too long."""
    used = usage(run)
    load = run.load
    if load is None or load.duration_s < 0.5:
        return unknown(__name__, KIND, "the measured window gave no result")
    taken = used.samples if used else 0
    gap = used.largest_gap_s if used else load.duration_s
    due = max(1.0, load.duration_s * run.manifest.sample_rate_hz)
    rows = [
        Evidence("samples_taken_share", taken / due, "ratio", TAKEN_SHARE, "samples.jsonl"),
        Evidence("longest_gap", gap, "s", LONGEST_GAP_S, "samples.jsonl"),
    ]
    if taken / due < TAKEN_SHARE or gap > LONGEST_GAP_S:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{taken} of {due:.0f} samples were taken, the longest gap was {gap:.2f} s",
            rows,
            "leave a core to the sampler: end other programs, or use --load-cpus and "
            "--server-cpus that leave one free",
        )
    return finding(__name__, KIND, Verdict.CLEAR, f"{taken} of {due:.0f} samples were taken", rows)
