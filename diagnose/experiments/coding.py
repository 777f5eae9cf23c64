"""The same requests for plain bodies: what does compression cost?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from diagnose.experiments._figures import FEWEST_PAIRS, between, mean, pair_ratios, undecided
from diagnose.model.experiment import Change, Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.run import Run

TITLE = "the same requests with and without Accept-Encoding"
DECIDES = {"compression_too_high": "most of the throughput comes back without compression"}
REPEATS = 2
CODED, PLAIN = "compressed", "plain"
# At a sensible level compression takes a part of the CPU time, not most of it.
MOST, LITTLE = 2.0, 1.2


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """As it is, and without the header; what is expected of the plain body stays."""
    templates = base.manifest.scenario.templates
    if not any(_asks(pair) for template in templates for pair in template.headers):
        return "the scenario asks for no compression"
    plain = tuple(
        replace(
            template,
            headers=tuple(pair for pair in template.headers if not _asks(pair)),
            expect=replace(template.expect, encoding=None, max_wire_bytes=None),
        )
        for template in templates
    )
    return (Leg(CODED), Leg(PLAIN, Change(templates=plain)))


def _asks(pair: tuple[str, str]) -> bool:
    return pair[0].lower() == "accept-encoding"


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """By the throughput of neighboring runs."""
    ratios = pair_ratios(seen, CODED, PLAIN)
    if len(ratios) < FEWEST_PAIRS:
        return undecided("too few pairs of runs in which the load was not the limit")
    said = f"{between(ratios, 'x')} the throughput without compression"
    rows = (Evidence("plain_to_compressed", mean(ratios), "ratio", MOST, "load.json"),)
    if min(ratios) >= MOST:
        effect = f"up to {mean(ratios):.2g}x at a level that costs nothing"
        return Judged(Outcome.CONFIRMED, said, effect, rows)
    if max(ratios) <= LITTLE:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)
