"""Runs of the same thing, as the benchmark makes them: the best counts, and the spread says what a
difference is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from diagnose.model.report import Analyzed


@dataclass(frozen=True, slots=True)
class Repeats:
    """One or more runs of a server with the same scenario and connections.

    best: of most right responses per second, among the valid runs where there is one. spread: the
    highest less the lowest throughput, as a share of the median; None for a single run.
    """

    runs: tuple[Analyzed, ...]
    best: Analyzed
    median_rps: float
    lowest_rps: float
    spread: float | None

    @property
    def scenario(self) -> str:
        """What was sent."""
        return self.best.run.manifest.scenario.name

    @property
    def connections(self) -> int:
        """On how many connections."""
        return self.best.run.manifest.connections

    @property
    def best_rps(self) -> float:
        """Right responses per second of the best run."""
        return rps(self.best)

    @property
    def invalid(self) -> tuple[Analyzed, ...]:
        """The runs whose figures are not to be quoted."""
        return tuple(item for item in self.runs if not valid(item))


def rps(item: Analyzed) -> float:
    """Right responses per second; 0 where nothing was measured."""
    return float(item.figures["rps"] or 0.0)


def valid(item: Analyzed) -> bool:
    """The figures of the run may be quoted."""
    whole = item.run.manifest.state == "complete"
    return whole and not any(finding.undoes_figures for finding in item.findings)


def repeats(items: Sequence[Analyzed]) -> list[Repeats]:
    """The runs by server, scenario and connections, in the order of their first ones."""
    groups: dict[tuple[str, str, int], list[Analyzed]] = {}
    for item in items:
        manifest = item.run.manifest
        key = (manifest.launch.name, manifest.scenario.name, manifest.connections)
        groups.setdefault(key, []).append(item)
    return [_group(group) for group in groups.values()]


def _group(items: Sequence[Analyzed]) -> Repeats:
    quotable = [item for item in items if valid(item)] or list(items)
    rates = [rps(item) for item in quotable]
    middle = median(rates)
    spread = (max(rates) - min(rates)) / middle if len(rates) > 1 and middle > 0 else None
    return Repeats(tuple(items), max(quotable, key=rps), middle, min(rates), spread)
