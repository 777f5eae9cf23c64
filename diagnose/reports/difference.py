"""A run beside another one: figures, findings, functions and stacks, before and now, for the page.

One run on each side shows what differs, not whether that is more than chance: `diagnose compare`
with commands tells.
"""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.analysis.comparison import METRICS
from diagnose.analysis.figures import figures
from diagnose.analysis.finding_changes import Fate, FindingChange, changed_findings
from diagnose.analysis.profile_change import (
    FrameChange,
    StackCost,
    changes,
    mixed,
    stack_costs,
)
from diagnose.model.report import Analyzed
from diagnose.reports.phrases import setting
from diagnose.units import format_value

MOST_FUNCTIONS = 20


@dataclass(frozen=True, slots=True)
class FigureChange:
    """A figure of both runs. way: `better` or `worse`, '' where the difference does not matter."""

    title: str
    before: str
    now: str
    ratio: str
    way: str


@dataclass(frozen=True, slots=True)
class FindingFate:
    """A finding of one of the two, and what became of it, in words."""

    id: str
    fate: str
    claim: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What is different. mixed: why functions cannot be compared, '' where they can."""

    base: str
    directory: str
    figures: tuple[FigureChange, ...]
    findings: tuple[FindingFate, ...]
    mixed: str
    functions: tuple[FrameChange, ...]
    stacks: tuple[StackCost, ...]


def difference(base: Analyzed, new: Analyzed) -> Difference:
    """From the base to the new run."""
    why = mixed(base.run, new.run)
    changed = changed_findings([base.findings], [new.findings])
    return Difference(
        setting(base),
        base.run.directory,
        _figures(base, new),
        tuple(
            FindingFate(one.id, _words(one), one.claim)
            for one in changed
            if one.fate is not Fate.STAYED
        ),
        why,
        () if why else tuple(changes(base.run, new.run)[:MOST_FUNCTIONS]),
        stack_costs(base.run, new.run),
    )


def _words(change: FindingChange) -> str:
    if change.fate is not Fate.SOMETIMES:
        return change.fate.value
    return "in the base; unknown here" if change.base[0] else "here; unknown in the base"


def _figures(base: Analyzed, new: Analyzed) -> tuple[FigureChange, ...]:
    before, now = figures(base.run), figures(new.run)
    rows = []
    for metric in METRICS:
        one, two = metric.of(before), metric.of(now)
        if one is None or two is None or one <= 0:
            continue
        matters = abs(two / one - 1) >= metric.practical
        way = ("better" if (two - one) * metric.better > 0 else "worse") if matters else ""
        rows.append(
            FigureChange(
                metric.title,
                _amount(one, metric.unit),
                _amount(two, metric.unit),
                f"{two / one:.2f}x",
                way,
            )
        )
    return tuple(rows)


def _amount(value: float, unit: str) -> str:
    return f"{value:.2%}" if unit == "ratio" else format_value(value, unit)
