"""How right the rules were on servers of which it is known what is wrong with them.

Findings of validity are about a measurement, not about a server: a run in which one is found
counts as not valid, and its verdicts of that kind are held against no rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from diagnose.model.finding import PROFILE_ONLY, Kind, Verdict

# The row of servers that have nothing to find, in the confusion matrix.
HEALTHY = "healthy"


class Outcome(StrEnum):
    """What a verdict was worth.

    FOUND: where it is true. MISSED: clear where it is true. UNDECIDED: unknown where it is true.
    NOT_VALID: not found where it is true, in a run that was not valid: held against no rule.
    POSSIBLE: found where it may be. FALSE: found where it is not true. QUIET: not found there.
    """

    FOUND = "found"
    MISSED = "missed"
    UNDECIDED = "undecided"
    NOT_VALID = "not_valid"
    POSSIBLE = "possible"
    FALSE = "false"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Truth:
    """A server and what is true of it. possible: true too, but one run need not show it."""

    name: str
    true: frozenset[str] = frozenset()
    possible: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one rule said in one run."""

    verdict: Verdict
    kind: Kind
    claim: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One run of a server: what every rule said, or the problem that kept it from saying so.

    repeated: the second of two, as another program disturbed the first.
    """

    name: str
    number: int
    answers: Mapping[str, Answer] = field(default_factory=dict)
    problem: str = ""
    seconds: float = 0.0
    repeated: bool = False
    profiled: bool = True

    @property
    def valid(self) -> bool:
        """Whether the measurement was."""
        return not any(
            answer.kind is Kind.VALIDITY and answer.verdict is Verdict.FOUND
            for rule, answer in self.answers.items()
            if rule not in PROFILE_ONLY
        )

    def found(self, rule: str) -> bool:
        """Whether a rule found what it asks for."""
        return rule in self.answers and self.answers[rule].verdict is Verdict.FOUND


@dataclass(frozen=True, slots=True)
class Score:
    """How often a rule's verdict was worth what."""

    counts: Mapping[Outcome, int]

    def __getitem__(self, outcome: Outcome) -> int:
        return self.counts.get(outcome, 0)

    @property
    def precision(self) -> float | None:
        """The share of right ones among what it found; None when it found nothing."""
        right = self[Outcome.FOUND] + self[Outcome.POSSIBLE]
        all_found = right + self[Outcome.FALSE]
        return right / all_found if all_found else None

    @property
    def recall(self) -> float | None:
        """The share that it found of what is true; None when nothing is."""
        there = self[Outcome.FOUND] + self[Outcome.MISSED] + self[Outcome.UNDECIDED]
        return self[Outcome.FOUND] / there if there else None


def judge(truth: Truth, rule: str, verdict: Verdict, valid: bool = True) -> Outcome:
    """What the verdict of a rule on a server was worth, in a run that was valid or not."""
    if rule in truth.true:
        if verdict is Verdict.FOUND:
            return Outcome.FOUND
        if not valid:
            return Outcome.NOT_VALID
        return Outcome.MISSED if verdict is Verdict.CLEAR else Outcome.UNDECIDED
    if verdict is not Verdict.FOUND:
        return Outcome.QUIET
    return Outcome.POSSIBLE if rule in truth.possible else Outcome.FALSE


def scores(truths: Iterable[Truth], told: Sequence[Told]) -> dict[str, Score]:
    """A score for every rule that said something, and for each that should have, by name."""
    known = {truth.name: truth for truth in truths}
    counts: dict[str, Counter[Outcome]] = {}
    for run in told:
        if run.problem:
            continue
        truth = known[run.name]
        for rule, answer in run.answers.items():
            if answer.kind is not Kind.VALIDITY:
                outcome = judge(truth, rule, answer.verdict, run.valid)
                counts.setdefault(rule, Counter())[outcome] += 1
        # What is true and no rule asks about is missed all the same.
        for rule in truth.true - run.answers.keys():
            counts.setdefault(rule, Counter())[judge(truth, rule, Verdict.UNKNOWN, run.valid)] += 1
    return {rule: Score(dict(count)) for rule, count in sorted(counts.items())}


def matters(truths: Iterable[Truth], told: Sequence[Told], outcome: Outcome) -> list[str]:
    """A line for each verdict of that worth: server, pass, rule, and what it said."""
    known = {truth.name: truth for truth in truths}
    return [
        f"{run.name}, pass {run.number}: {rule}: {answer.claim}"
        for run in told
        if not run.problem
        for rule, answer in run.answers.items()
        if answer.kind is not Kind.VALIDITY
        and judge(known[run.name], rule, answer.verdict, run.valid) is outcome
    ]


def matrix(
    truths: Iterable[Truth], told: Sequence[Told]
) -> tuple[list[str], list[str], list[list[float]]]:
    """Rows (what is true), columns (what was found), and the share of runs for each pair.

    A server with several true findings counts in the row of each. Shares are 0 to 1.
    """
    known = {truth.name: truth for truth in truths}
    runs: Counter[str] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    for run in told:
        if run.problem:
            continue
        for row in known[run.name].true or {HEALTHY}:
            runs[row] += 1
            for rule, answer in run.answers.items():
                if answer.verdict is Verdict.FOUND and answer.kind is not Kind.VALIDITY:
                    found[row, rule] += 1
    rows = sorted(runs, key=lambda row: (row == HEALTHY, row))
    columns = sorted({rule for _, rule in found} | (runs.keys() - {HEALTHY}))
    shares = [[found[row, column] / runs[row] for column in columns] for row in rows]
    return rows, columns, shares
