"""Asks every rule, keeps causes out of invalid measurements, and ranks what was found."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from diagnose import registry
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.run import Run

RULES = "diagnose.analysis.rules"
_KIND_ORDER = {Kind.VALIDITY: 0, Kind.CAUSE: 1, Kind.SYMPTOM: 2}
_VERDICT_ORDER = {Verdict.FOUND: 0, Verdict.UNKNOWN: 1, Verdict.CLEAR: 2}


def rules() -> dict[str, ModuleType]:
    """All rules by name. A rule has KIND, NEEDS (validity rules that undo it) and check(run)."""
    return registry.modules(RULES)


def analyze(run: Run) -> list[Finding]:
    """The findings of all rules, ranked: found first, validity before causes before symptoms, and
    within these by what they explain."""
    answers = {name: module.check(run) for name, module in rules().items()}
    undone = {
        name
        for name, answer in answers.items()
        if answer.kind is Kind.VALIDITY and answer.verdict is Verdict.FOUND
    }
    ranked = [
        _held_back(answer, [need for need in rules()[name].NEEDS if need in undone])
        for name, answer in answers.items()
    ]
    ranked.sort(
        key=lambda answer: (
            _VERDICT_ORDER[answer.verdict],
            _KIND_ORDER[answer.kind],
            -answer.explains,
            answer.id,
        )
    )
    return ranked


def _held_back(answer: Finding, reasons: list[str]) -> Finding:
    """An answer on an invalid measurement is unknown: the evidence stays, the verdict does not."""
    if not reasons or answer.verdict is Verdict.UNKNOWN:
        return answer
    return replace(
        answer,
        verdict=Verdict.UNKNOWN,
        claim=f"not valid here because of {', '.join(reasons)}: {answer.claim}",
        next_step="",
        explains=0.0,
    )
