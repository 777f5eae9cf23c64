"""What a run has to keep to be let through: findings that must not be there, memory, throughput."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from diagnose.analysis.comparable import differences
from diagnose.analysis.figures import figures
from diagnose.model.finding import Verdict
from diagnose.model.report import Analyzed
from diagnose.units import format_bytes, format_rate


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that was asked for. said: the figure and what it was held against.

    kept is None where it could not be told; that lets nothing through that was asked to be held.
    """

    name: str
    kept: bool | None
    said: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; None or empty is not. least_ratio: of the throughput of `baseline`."""

    fail_on: tuple[str, ...] = ()
    memory_bytes: int | None = None
    least_ratio: float | None = None
    baseline: Analyzed | None = None

    @property
    def anything(self) -> bool:
        """There is something to keep."""
        return bool(self.fail_on) or self.memory_bytes is not None or self.least_ratio is not None


def gates(item: Analyzed, wanted: Wanted) -> list[Gate]:
    """What a run came to, one for each thing that was asked for."""
    found: list[Gate] = [_finding(item, name) for name in wanted.fail_on]
    seen = figures(item.run)
    if wanted.memory_bytes is not None:
        peak = seen.peak_rss_bytes
        limit = format_bytes(wanted.memory_bytes)
        said = "memory was not measured" if peak is None else f"{format_bytes(peak)} of {limit}"
        kept = None if peak is None else peak <= wanted.memory_bytes
        found.append(Gate("budget-memory", kept, f"peak RSS {said}"))
    if wanted.least_ratio is not None and wanted.baseline is not None:
        found.append(_ratio(item, wanted.baseline, wanted.least_ratio))
    return found


def _finding(item: Analyzed, name: str) -> Gate:
    answer = next((each for each in item.findings if each.id == name), None)
    if answer is None:
        return Gate(f"fail-on {name}", None, "no rule said anything of it")
    if answer.verdict is Verdict.UNKNOWN:
        return Gate(f"fail-on {name}", True, f"not found; it could not be told: {answer.claim}")
    return Gate(f"fail-on {name}", answer.verdict is not Verdict.FOUND, answer.claim)


def _ratio(item: Analyzed, baseline: Analyzed, least: float) -> Gate:
    name = "min-rps-ratio"
    before, after = figures(baseline.run).rps, figures(item.run).rps
    if not before:
        return Gate(name, None, "the baseline has no throughput")
    doubtful = [each.id for each in item.findings if each.undoes_figures]
    if doubtful:
        return Gate(name, None, f"the measurement is not valid: {', '.join(doubtful)}")
    ratio = after / before
    said = f"{format_rate(after)} is {ratio:.2f} of {format_rate(before)}, and {least:.2f} is asked"
    return Gate(name, ratio >= least, said)


def incomparable(item: Analyzed, baseline: Analyzed, besides: Collection[str] = ()) -> list[str]:
    """In what a run differs from its baseline, the machine's own noise left out."""
    return [
        line
        for line in differences(baseline.run, item.run)
        if line.partition(":")[0] not in besides
    ]


def missed(kept: Sequence[Gate]) -> list[Gate]:
    """Those that were not kept, or that could not be told."""
    return [gate for gate in kept if not gate.kept]
