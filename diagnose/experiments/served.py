"""More connections and fewer than are served: is it always the same number?"""

from __future__ import annotations

from collections.abc import Collection

from diagnose.experiments._figures import figure, told, undecided
from diagnose.model.experiment import Change, Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.report import Analyzed
from diagnose.model.run import Run

TITLE = "as many connections as were served, and half as many more than the load's"
DECIDES = {
    "connection_cap": "the same number is served of more connections, and all of so many",
    "fd_exhausted": "the same number is served of more connections, and all of so many",
}
REPEATS = 1
ALONE = ("connection_cap",)
FEWER, MORE = "as many as were served", "half as many more"
# A hundredth is an accident; processes with a cap each are filled unevenly.
SAME = 0.15


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """Three quarters of what was served, so that processes that share unevenly have room; and
    more than there were."""
    load = base.load
    if load is None or load.silent_connections <= 0:
        return "each connection was served"
    count = base.manifest.connections
    served = count - load.silent_connections
    if served < 4:
        return f"{served} connections were served: too few to ask for fewer"
    return (
        Leg(FEWER, Change(connections=served * 3 // 4)),
        Leg(MORE, Change(connections=count + max(8, count // 2))),
    )


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """By the number of connections that got responses."""
    assert base.load is not None
    first = base.manifest.connections - base.load.silent_connections
    fewer, more = told(seen, FEWER, _left), told(seen, MORE, _served)
    if not fewer or not more:
        return undecided("how many connections were served could not be told")
    asked = first * 3 // 4
    total = base.manifest.connections + max(8, base.manifest.connections // 2)
    said = f"{more[0]:.0f} of {total} served, after {first} of {base.manifest.connections}; " + (
        f"all of {asked}" if not fewer[0] else f"{fewer[0]:.0f} of {asked} not"
    )
    rows = (Evidence("served_connections", more[0], "connections", first, "load.json"),)
    same = abs(more[0] - first) <= SAME * first
    if same and not fewer[0]:
        return Judged(Outcome.CONFIRMED, said, f"at most about {first} connections", rows)
    if more[0] >= total * (1 - SAME) or fewer[0] >= SAME * asked:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)


def _served(run: Analyzed) -> float | None:
    return figure(run, "connection_cap", "served_connections")


def _left(run: Analyzed) -> float | None:
    return figure(run, "connection_cap", "silent_connections")
