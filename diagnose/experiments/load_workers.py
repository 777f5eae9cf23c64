"""One more load worker: was the load generator the limit?"""

from __future__ import annotations

from collections.abc import Collection

from diagnose.experiments._figures import FEWEST_PAIRS, between, mean, pair_ratios, undecided
from diagnose.model.experiment import Change, Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.report import Analyzed
from diagnose.model.run import Run

TITLE = "one more load worker"
DECIDES = {"client_saturated": "one more worker gets more from the same server"}
REPEATS = 2
SAME, MORE = "as many load workers", "one more load worker"
FASTER, NO_FASTER = 1.1, 1.04


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """The same, and one more."""
    workers = len(base.load.workers) if base.load else 0
    if not workers:
        return "the load was made by another program"
    if workers >= len(base.manifest.host.load_cpus) or workers >= base.manifest.connections:
        return f"{workers} load workers have all the cores and connections that there are"
    return (
        Leg(SAME, Change(load_workers=workers)),
        Leg(MORE, Change(load_workers=workers + 1)),
    )


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """By the throughput of neighboring runs. Those that the client limited count here."""
    ratios = pair_ratios(seen, SAME, MORE, _rps)
    if len(ratios) < FEWEST_PAIRS:
        return undecided("too few responses")
    said = f"{between(ratios, 'x')} the throughput with one more worker"
    rows = (Evidence("one_more_worker", mean(ratios), "ratio", FASTER, "load.json"),)
    if min(ratios) >= FASTER:
        return Judged(Outcome.CONFIRMED, said, "repeat with more load workers", rows)
    if max(ratios) <= NO_FASTER:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)


def _rps(run: Analyzed) -> float | None:
    return run.run.load.rps if run.run.load and run.run.load.rps else None
