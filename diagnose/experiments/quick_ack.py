"""One connection whose client acknowledges at once, and one that lets its acknowledgments wait.

It needs no further run: each run tries both on one connection before the load (TCP_QUICKACK on the
client). Source: tcp(7); Linux delays an acknowledgment by 40 ms.
"""

from __future__ import annotations

from collections.abc import Collection
from statistics import median

from diagnose.analysis.probed import named
from diagnose.experiments._figures import undecided
from diagnose.model.experiment import Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.run import Run

TITLE = "one connection with acknowledgments delayed, and at once (in the first run)"
DECIDES = {"delayed_ack": "answers take some 40 ms, and none of it when the client acknowledges"}
REPEATS = 0
ALONE = ("delayed_ack",)
# Of the delay of 40 ms.
DELAY_S, NEXT_TO_NOTHING_S = 0.035, 0.01


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """None: the first run has it."""
    return ()


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """By the latency of either connection, of the request that gains most."""
    late, quick = named(base, "late_ack"), named(base, "quick_ack")
    both = [
        (median(late[name].times_s), median(quick[name].times_s), name)
        for name in late
        if name in quick and late[name].times_s and quick[name].times_s
    ]
    if not both:
        return undecided("the client's acknowledgments were not varied before the load")
    slow, fast, name = max(both, key=lambda pair: pair[0] - pair[1])
    said = f"{name}: {slow * 1e3:.1f} ms, and {fast * 1e3:.1f} ms acknowledged at once"
    rows = (Evidence("saved_by_quick_ack", slow - fast, "s", DELAY_S, "run.json"),)
    if slow - fast >= DELAY_S:
        return Judged(Outcome.CONFIRMED, said, f"{(slow - fast) * 1e3:.0f} ms less each", rows)
    if slow - fast <= NEXT_TO_NOTHING_S:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)
