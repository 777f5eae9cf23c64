"""Next to no load: what does the server do when nobody asks it for anything?"""

from __future__ import annotations

from collections.abc import Collection

from diagnose.experiments._figures import between, server_cores, told, undecided
from diagnose.model.experiment import Change, Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.run import Run

TITLE = "one connection with one request a second"
DECIDES = {"busy_spin": "a core and more is used for one request a second, before it and after it"}
REPEATS = 1
QUIET = "one request a second"
# Of a core: one that spins takes what it gets. A request or two cost a hundredth.
SPINS, RESTS = 0.5, 0.1
SECONDS = 2.0


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """One leg, of a client that waits."""
    return (Leg(QUIET, Change(connections=1, rate=1.0, duration_s=SECONDS, load_workers=1)),)


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """By the cores that were used all the time."""
    used = told(seen, QUIET, server_cores)
    if not used:
        return undecided("the server was hardly sampled")
    said = f"{between(used)} cores for one request a second"
    rows = (Evidence("server_cpu", used[0], "cores", SPINS, "samples.jsonl"),)
    if min(used) >= SPINS:
        return Judged(Outcome.CONFIRMED, said, f"{min(used):.2f} cores saved at rest", rows)
    if max(used) <= RESTS:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)
