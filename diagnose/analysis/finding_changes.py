"""Two servers side by side: which findings came, went and stayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from diagnose.model.finding import Finding, Kind, Verdict


class Fate(StrEnum):
    """What became of a finding. In some pairs only: it is noise, or on the edge."""

    APPEARED = "appeared"
    GONE = "disappeared"
    STAYED = "stayed"
    SOMETIMES = "in some runs"


@dataclass(frozen=True, slots=True)
class FindingChange:
    """A finding that was found somewhere: in how many runs of each side, of how many."""

    id: str
    kind: Kind
    fate: Fate
    base: tuple[int, int]
    new: tuple[int, int]
    claim: str


def changed_findings(
    base: Sequence[Sequence[Finding]], new: Sequence[Sequence[Finding]]
) -> list[FindingChange]:
    """What was found on either side. It appeared when every run of the new side found it and every
    one of the base was clear of it; a run that could not tell makes it `in some runs`."""
    before, after = _verdicts(base), _verdicts(new)
    changes = []
    for name, (kind, claim) in sorted(_claims([*base, *new]).items()):
        one, two = before.get(name, []), after.get(name, [])
        changes.append(
            FindingChange(
                name,
                kind,
                _fate(one, two),
                (one.count(Verdict.FOUND), len(base)),
                (two.count(Verdict.FOUND), len(new)),
                claim,
            )
        )
    return sorted(changes, key=lambda change: (list(Fate).index(change.fate), change.id))


def _fate(base: Sequence[Verdict], new: Sequence[Verdict]) -> Fate:
    found, clear = {Verdict.FOUND}, {Verdict.CLEAR}
    if set(base) == found and set(new) == found:
        return Fate.STAYED
    if set(base) == clear and set(new) == found:
        return Fate.APPEARED
    if set(base) == found and set(new) == clear:
        return Fate.GONE
    return Fate.SOMETIMES


def _verdicts(side: Sequence[Sequence[Finding]]) -> dict[str, list[Verdict]]:
    told: dict[str, list[Verdict]] = {}
    for run in side:
        for item in run:
            told.setdefault(item.id, []).append(item.verdict)
    return told


def _claims(runs: Sequence[Sequence[Finding]]) -> Mapping[str, tuple[Kind, str]]:
    """The last claim of everything that was found."""
    return {
        item.id: (item.kind, item.claim)
        for run in runs
        for item in run
        if item.verdict is Verdict.FOUND
    }
