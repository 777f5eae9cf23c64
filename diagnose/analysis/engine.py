"""Asks every rule, keeps causes out of invalid measurements, ranks what was found, and says which
of the causes explain which of the symptoms."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from diagnose import registry
from diagnose.analysis.confidence import Measured, measured
from diagnose.analysis.located import located
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.run import Run

RULES = "diagnose.analysis.rules"
_KIND_ORDER = {Kind.VALIDITY: 0, Kind.CAUSE: 1, Kind.SYMPTOM: 2}
_VERDICT_ORDER = {Verdict.FOUND: 0, Verdict.UNKNOWN: 1, Verdict.CLEAR: 2}


def rules() -> dict[str, ModuleType]:
    """All rules by name. A rule has KIND, NEEDS (validity rules that undo it) and check(run); a
    cause may have EXPLAINS, the symptoms that it brings about. PROFILED: it reads profiles."""
    return registry.modules(RULES)


def analyze(run: Run) -> list[Finding]:
    """The findings of all rules, ranked: found first, validity before causes before symptoms, and
    within these by what they explain: its share first, then the number of symptoms found."""
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
    found = {answer.id for answer in ranked if answer.verdict is Verdict.FOUND}
    ranked.sort(
        key=lambda answer: (
            _VERDICT_ORDER[answer.verdict],
            _KIND_ORDER[answer.kind],
            -answer.explains,
            -len(found.intersection(_brings_about(answer))),
            answer.id,
        )
    )
    causes = [answer for answer in ranked if answer.id in found and answer.kind is Kind.CAUSE]
    return [trusted(located(run, _explained(answer, causes)), measured()) for answer in ranked]


def _brings_about(answer: Finding) -> tuple[str, ...]:
    """The symptoms that a cause brings about."""
    symptoms: tuple[str, ...] = getattr(rules()[answer.id], "EXPLAINS", ())
    return symptoms


def _explained(answer: Finding, causes: list[Finding]) -> Finding:
    """A symptom that was found, with the found causes that bring it about; others as they are."""
    if answer.kind is not Kind.SYMPTOM or answer.verdict is not Verdict.FOUND:
        return answer
    by = tuple(cause.id for cause in causes if answer.id in _brings_about(cause))
    return replace(answer, explained_by=by)


def trusted(answer: Finding, known: Measured | None) -> Finding:
    """A finding with how often the rule was right in the selftest; others as they are."""
    if known is None or answer.verdict is not Verdict.FOUND or answer.id not in known.rules:
        return answer
    record = known.rules[answer.id]
    return replace(answer, confidence=record.precision, measured=known.sentence(answer.id))


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
