"""What was concluded, and from what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Too little data is `unknown`: never a guess."""

    FOUND = "found"
    CLEAR = "clear"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """What a finding is about: the measurement itself, what is seen, or why it is so."""

    VALIDITY = "validity"
    SYMPTOM = "symptom"
    CAUSE = "cause"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One figure behind a verdict. threshold: the figure it was held against, in the same unit.

    source: the file of the run directory that it was read from.
    """

    metric: str
    value: float | int | str
    unit: str
    threshold: float | int | str | None
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's answer. confidence: measured precision of the rule, None until it was measured;
    measured: on how many runs, where and when, in words.

    explains: the share (0..1) of the missing throughput or of the memory that it accounts for,
    used to rank; 0 where it cannot be told. explained_by: of a symptom that was found, the causes
    found beside it that bring it about, the weightiest first; empty where none does.
    """

    id: str
    kind: Kind
    verdict: Verdict
    claim: str
    evidence: tuple[Evidence, ...] = ()
    next_step: str = ""
    confidence: float | None = None
    explains: float = 0.0
    explained_by: tuple[str, ...] = ()
    measured: str = ""

    @property
    def unexplained(self) -> bool:
        """A symptom that was found, and no cause beside it that brings it about."""
        found = self.kind is Kind.SYMPTOM and self.verdict is Verdict.FOUND
        return found and not self.explained_by

    @property
    def undoes_figures(self) -> bool:
        """Found, and the figures of the measured window are not to be quoted for it."""
        found = self.kind is Kind.VALIDITY and self.verdict is Verdict.FOUND
        return found and self.id not in PROFILE_ONLY


# These say that the profile describes another load; figures come from the unprofiled window.
PROFILE_ONLY = frozenset({"profiler_disturbs"})
