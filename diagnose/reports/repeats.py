"""Several runs of the same thing in a line: the best, the median, how far they lie apart."""

from __future__ import annotations

from diagnose.analysis.repeats import Repeats
from diagnose.units import format_rate


def line(group: Repeats) -> str:
    """`RUNS  baseline, 64 connections: best of 3 59,451/s, median 58,100/s, spread 4.1 %`."""
    text = (
        f"RUNS     {group.scenario}, {group.connections} connections: best of {len(group.runs)} "
        f"{format_rate(group.best_rps)}, median {format_rate(group.median_rps)}"
    )
    if group.spread is not None:
        text += f", spread {group.spread:.1%} of it"
    if group.invalid:
        text += f"; {len(group.invalid)} not valid" + (
            " and left out" if len(group.invalid) < len(group.runs) else ""
        )
    return text
