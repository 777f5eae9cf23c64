"""The same load for a short and for a long time: does what stays grow with it?

A leak grows with the responses, as long as they come; a cache that is never emptied, or an
allocator that keeps what it once needed, stays where it was.
"""

from __future__ import annotations

from collections.abc import Collection

from diagnose.analysis.memory_growth import growth
from diagnose.experiments._figures import told, undecided
from diagnose.model.experiment import Change, Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.units import format_bytes

TITLE = "the same load for a short and for a longer time"
DECIDES = {
    "memory_leak": "what is held after the load grows in step with the responses",
    "memory_retained": "as much is held after a longer load as after a short one, and it is not "
    "given back",
}
REPEATS = 1
ALONE = ("memory_leak", "memory_retained")
SHORT, LONG = "a short load", "three times as long"
FACTOR = 3
# Of what a growth in step with the responses would be.
IN_STEP, STAYS = 0.6, 0.25
MIN_KEPT = 8 * 2**20
# Twice as many responses at least: else nothing was repeated.
MORE = 1.8


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """Two windows. A cache fills during the first run's: the shorter one is as long as that."""
    if base.manifest.launch.attached:
        return "the server runs already: what it held before cannot be told from what it holds now"
    seconds = base.manifest.scenario.duration_s
    return (
        Leg(SHORT, Change(duration_s=seconds)),
        Leg(LONG, Change(duration_s=FACTOR * seconds)),
    )


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """By what is kept after either, against the responses of either."""
    short, long = told(seen, SHORT, _kept), told(seen, LONG, _kept)
    few, many = told(seen, SHORT, _responses), told(seen, LONG, _responses)
    if not (short and long and few and many):
        return undecided("memory was not sampled after the load, or too little was answered")
    more = many[0] / few[0]
    if more < MORE:
        return undecided(f"the longer load had {more:.1f} times the responses only")
    if long[0] < MIN_KEPT:
        said = f"{format_bytes(max(0.0, long[0]))} were kept after either"
        return Judged(Outcome.REFUTED, said)
    factor = long[0] / max(1.0, short[0])
    step = (factor - 1) / (more - 1)
    said = (
        f"{format_bytes(max(0.0, short[0]))} kept, then {format_bytes(long[0])} after "
        f"{more:.1f} times the responses"
    )
    rows = (Evidence("growth_in_step", step, "ratio", IN_STEP, "samples.jsonl"),)
    grows, stays = step >= IN_STEP, step <= STAYS
    if suspect.id == "memory_leak":
        if grows:
            each = (long[0] - short[0]) / (many[0] - few[0])
            return Judged(Outcome.CONFIRMED, said, f"{format_bytes(each)} a response", rows)
        return Judged(Outcome.REFUTED if stays else Outcome.UNDECIDED, said, evidence=rows)
    if stays:
        return Judged(Outcome.CONFIRMED, said, f"{format_bytes(long[0])} of memory", rows)
    return Judged(Outcome.REFUTED if grows else Outcome.UNDECIDED, said, evidence=rows)


def _kept(run: Analyzed) -> float | None:
    grown = growth(run.run)
    return None if grown is None or grown.kept is None else float(grown.kept - grown.before)


def _responses(run: Analyzed) -> float | None:
    grown = growth(run.run)
    return None if grown is None or grown.responses <= 0 else grown.responses
