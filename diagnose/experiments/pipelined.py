"""One request at a time on a connection, and several: are they worked on one after the other?"""

from __future__ import annotations

from collections.abc import Collection

from diagnose.experiments._figures import FEWEST_PAIRS, between, p50, pair_ratios, told, undecided
from diagnose.model.experiment import Change, Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.run import Run

TITLE = "one request at a time on each connection, and several"
DECIDES = {
    "pipelining_serialized": "several requests on a connection get no more answers than one at a "
    "time, and each waits for all before it"
}
REPEATS = 2
ALONE = ("pipelining_serialized",)
ONE, SEVERAL = "one at a time", "several at a time"
DEPTH = 16
# Answers that go out together save system calls: 2 to 8 times the throughput on healthy servers.
FLAT, GAIN = 1.25, 1.6


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """Depth 1, and the scenario's or 16."""
    depth = max(DEPTH, base.manifest.scenario.pipeline)
    return (Leg(ONE, Change(pipeline=1)), Leg(SEVERAL, Change(pipeline=depth)))


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """By throughput and latency."""
    ratios = pair_ratios(seen, ONE, SEVERAL)
    first, last = told(seen, ONE, p50), told(seen, SEVERAL, p50)
    if len(ratios) < FEWEST_PAIRS or not (first and last):
        return undecided("too few pairs of runs in which the load was not the limit")
    waits = last[0] / first[0]
    depth = max(DEPTH, base.manifest.scenario.pipeline)
    said = f"{between(ratios, 'x')} the throughput {depth} deep, {waits:.2g}x the latency"
    rows = (
        Evidence("pipelined_to_single", ratios[0], "ratio", FLAT, "load.json"),
        Evidence("latency_factor", waits, "ratio", depth, "load.json"),
    )
    if max(ratios) <= FLAT and waits >= depth / 2:
        return Judged(Outcome.CONFIRMED, said, "pipelining gains nothing", rows)
    if min(ratios) >= GAIN:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)
