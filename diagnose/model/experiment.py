"""Experiments: what is changed between runs, what a cause predicts of it, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from diagnose.model.finding import Evidence, Finding
from diagnose.model.report import Analyzed
from diagnose.model.scenario import RequestTemplate


class Outcome(StrEnum):
    """What an experiment says of a suspected cause. UNDECIDED: it could have gone either way, or
    the runs do not show which way it went."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Change:
    """What a leg changes of the run that is investigated; None leaves it as it is.

    environment: variables (name, value) that the server gets beside its own. command: replaces the
    server's. Two legs with the same change are the same run.
    """

    connections: int | None = None
    server_cpus: tuple[int, ...] | None = None
    load_cpus: tuple[int, ...] | None = None
    load_workers: int | None = None
    requests_per_connection: int | None = None
    pipeline: int | None = None
    duration_s: float | None = None
    rate: float | None = None
    timeout_s: float | None = None
    templates: tuple[RequestTemplate, ...] | None = None
    environment: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """One way of running the server. label: in words, unique within its experiment."""

    label: str
    change: Change = Change()


# The runs of an experiment by the label of their leg, in the order of time.
Seen = dict[str, list[Analyzed]]


@dataclass(frozen=True, slots=True)
class Judged:
    """What an experiment's runs say of one suspected cause.

    seen: the figures in words, as they stand beside the prediction. effect: what would be gained or
    what it costs, for a confirmed one; '' where the experiment does not tell.
    """

    outcome: Outcome
    seen: str
    effect: str = ""
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """An experiment that is to be done: for which suspects, in which legs, how often each, and for
    how many seconds in all."""

    experiment: str
    suspects: tuple[str, ...]
    legs: tuple[Leg, ...]
    repeats: int
    cost_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in this order. left_out: (suspect, why no experiment is made for it)."""

    experiments: tuple[Planned, ...]
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """A suspected cause, and what came of it. suspect: what the first run said of it.

    predicted: what confirms it. experiment: the name of the one that decided, '' where none did.
    runs: directories, in the order of time. seconds: from the start of the investigation until it
    was decided.
    """

    suspect: Finding
    outcome: Outcome
    experiment: str = ""
    predicted: str = ""
    seen: str = ""
    effect: str = ""
    evidence: tuple[Evidence, ...] = ()
    runs: tuple[str, ...] = ()
    seconds: float = 0.0
