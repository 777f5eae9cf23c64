"""How rules phrase their answers."""

from __future__ import annotations

from collections.abc import Sequence

from diagnose.model.finding import Evidence, Finding, Kind, Verdict


def finding(
    rule: str,
    kind: Kind,
    verdict: Verdict,
    claim: str,
    evidence: Sequence[Evidence] = (),
    next_step: str = "",
    explains: float = 0.0,
) -> Finding:
    """A finding of the rule in module `rule` (its `__name__`)."""
    return Finding(
        id=rule.rpartition(".")[2],
        kind=kind,
        verdict=verdict,
        claim=claim,
        evidence=tuple(evidence),
        next_step=next_step if verdict is Verdict.FOUND else "",
        explains=explains if verdict is Verdict.FOUND else 0.0,
    )


def unknown(rule: str, kind: Kind, why: str, evidence: Sequence[Evidence] = ()) -> Finding:
    """The rule cannot tell, and why."""
    return finding(rule, kind, Verdict.UNKNOWN, why, evidence)
