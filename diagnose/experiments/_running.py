"""Runs the legs of experiments, each as a run in the store, and asks for their verdicts."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from diagnose.analysis.engine import analyze
from diagnose.analysis.figures import figures
from diagnose.errors import DiagnoseError
from diagnose.experiments import _planning
from diagnose.model.experiment import (
    Change,
    Decision,
    Judged,
    Leg,
    Outcome,
    Planned,
    Seen,
)
from diagnose.model.finding import Finding
from diagnose.model.report import Analyzed
from diagnose.recorder import Observer, RunOptions, record
from diagnose.store.reader import read_run
from diagnose.store.writer import write_findings


class Stopped(Exception):
    """The user interrupted a leg; what was recorded is kept."""


class Legs:
    """Records legs, and gives a leg that was recorded before when it is asked for again."""

    def __init__(self, base: Analyzed, options: RunOptions, observer: Observer) -> None:
        self._base = base
        self._options = options
        self._observer = observer
        self._done: dict[Change, list[Analyzed]] = {}
        self.directories: list[tuple[str, str]] = []

    def seen(self, planned: Planned) -> Seen:
        """The runs of an experiment, by leg.

        Raises: Stopped when one was interrupted.
        """
        for number, leg in _interleaved(planned.legs, planned.repeats):
            if len(self._done.get(leg.change, ())) <= number:
                self._record(planned, leg, number)
        return {
            leg.label: self._done.get(leg.change, [])[: max(1, planned.repeats)]
            for leg in planned.legs
        }

    def _record(self, planned: Planned, leg: Leg, number: int) -> None:
        turn = f", {number + 1} of {planned.repeats}" if planned.repeats > 1 else ""
        self._observer.note(f"{planned.experiment}: {leg.label}{turn}")
        runs = self._done.setdefault(leg.change, [])
        try:
            directory = record(changed(self._options, self._base, leg.change), self._observer)
        except DiagnoseError as error:
            self._observer.note(f"{leg.label} failed: {error}")
            for note in getattr(error, "__notes__", ()):
                self.directories.append((leg.label, note))
            return
        run = analyzed(directory)
        write_findings(directory, run.findings)
        self.directories.append((leg.label, str(directory)))
        if run.run.manifest.state == "interrupted":
            raise Stopped
        runs.append(run)


def analyzed(directory: Path) -> Analyzed:
    """A recorded run with its findings."""
    run = read_run(directory)
    return Analyzed(run, dataclasses.asdict(figures(run)), tuple(analyze(run)))


def _interleaved(legs: Sequence[Leg], repeats: int) -> Iterator[tuple[int, Leg]]:
    """Forth and back, A B, B A: a drift of the machine falls on all legs."""
    for number in range(repeats):
        for leg in legs if number % 2 == 0 else reversed(legs):
            yield number, leg


def changed(options: RunOptions, base: Analyzed, change: Change) -> RunOptions:
    """The options of a leg: those of the first run, short phases, and what the leg changes."""
    connections = change.connections or options.connections
    scenario = replace(
        options.scenario,
        warmup_s=_planning.warm_up_s(base.run),
        duration_s=change.duration_s or _planning.WINDOW_S,
        templates=change.templates or options.scenario.templates,
        timeout_s=change.timeout_s or options.scenario.timeout_s,
    )
    if change.pipeline is not None:
        scenario = replace(scenario, pipeline=change.pipeline)
    if change.requests_per_connection is not None:
        scenario = replace(scenario, requests_per_connection=change.requests_per_connection)
    if change.rate is not None:
        scenario = replace(scenario, rate=change.rate)
    workers = change.load_workers or options.load_workers
    if workers is None and base.run.load is not None and not options.driver:
        # No trial: as many as the first run came to.
        workers = max(1, len(base.run.load.workers))
    return replace(
        options,
        scenario=scenario,
        connections=connections,
        command=change.command or options.command,
        environment={**options.environment, **dict(change.environment)},
        server_cpus=change.server_cpus or options.server_cpus,
        load_cpus=change.load_cpus or options.load_cpus,
        load_workers=None if workers is None else min(workers, connections),
        profile="none",
        idle_s=_planning.IDLE_S,
        cooldown_s=_planning.COOLDOWN_S,
        probes=False,
    )


def decide(
    base: Analyzed, planned: Planned, seen: Seen, wanted: Sequence[Finding], began: float
) -> list[Decision]:
    """What the runs of an experiment say of each of its suspects."""
    module = _planning.experiments()[planned.experiment]
    runs = tuple(run.run.directory for group in seen.values() for run in group)
    decisions = []
    for suspect in wanted:
        if suspect.id not in planned.suspects:
            continue
        judged: Judged = module.judge(base.run, seen, suspect)
        decisions.append(
            Decision(
                suspect=suspect,
                outcome=judged.outcome,
                experiment=planned.experiment,
                predicted=module.DECIDES[suspect.id],
                seen=judged.seen,
                effect=judged.effect if judged.outcome is Outcome.CONFIRMED else "",
                evidence=judged.evidence,
                runs=runs or (base.run.directory,),
                seconds=time.monotonic() - began,
            )
        )
    return decisions
