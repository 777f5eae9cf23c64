"""What an investigation decided, as it stands beside its runs (`investigation.json`)."""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.model.experiment import Outcome
from diagnose.model.finding import Evidence


@dataclass(frozen=True, slots=True)
class Done:
    """An experiment of the plan: for which suspects, in which legs, how often each, and how long
    that was to take. title: what it changes."""

    experiment: str
    suspects: tuple[str, ...]
    legs: tuple[str, ...]
    repeats: int
    cost_s: float
    title: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """A suspected cause, and what came of it; see `model.experiment.Decision`."""

    id: str
    outcome: Outcome
    experiment: str
    suspected: str
    predicted: str
    seen: str
    effect: str = ""
    next_step: str = ""
    evidence: tuple[Evidence, ...] = ()
    runs: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A suspected cause without an experiment, and why."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class LegRun:
    """A run of the investigation: of which leg, and its directory."""

    leg: str
    run: str


@dataclass(frozen=True, slots=True)
class Investigated:
    """All of it. base: the directory of the first run. complete: everything that was planned was
    done. ruled_out: causes that the first run is clear of."""

    schema: int
    base: str
    complete: bool
    seconds: float
    plan: tuple[Done, ...] = ()
    decisions: tuple[Decided, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    ruled_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    runs: tuple[LegRun, ...] = ()

    def of(self, outcome: Outcome) -> tuple[Decided, ...]:
        """What came out so."""
        return tuple(one for one in self.decisions if one.outcome is outcome)
