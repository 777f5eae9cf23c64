"""What became of findings, from verdicts that were made up."""

from __future__ import annotations

import pytest

from diagnose.analysis.finding_changes import Fate, changed_findings
from diagnose.model.finding import Finding, Kind, Verdict
from tests.builders import make_finding


def told(verdict: Verdict, name: str = "low_cpu") -> list[Finding]:
    """A run with one finding."""
    return [make_finding(name, kind=Kind.SYMPTOM, verdict=verdict)]


FOUND, CLEAR, UNKNOWN = Verdict.FOUND, Verdict.CLEAR, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("base", "new", "fate"),
    [
        ([CLEAR], [FOUND], Fate.APPEARED),
        ([FOUND], [CLEAR], Fate.GONE),
        ([FOUND], [FOUND], Fate.STAYED),
        ([UNKNOWN], [FOUND], Fate.SOMETIMES),
        ([CLEAR, CLEAR], [FOUND, CLEAR], Fate.SOMETIMES),
        ([CLEAR, FOUND], [FOUND, FOUND], Fate.SOMETIMES),
    ],
)
def test_a_finding_comes_or_goes_when_all_runs_agree(
    base: list[Verdict], new: list[Verdict], fate: Fate
) -> None:
    (change,) = changed_findings([told(v) for v in base], [told(v) for v in new])
    assert change.fate is fate
    assert change.base == (base.count(FOUND), len(base))
    assert change.new == (new.count(FOUND), len(new))


def test_what_nobody_found_is_not_listed() -> None:
    assert changed_findings([told(CLEAR)], [told(UNKNOWN)]) == []
