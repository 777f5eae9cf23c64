"""Legs: how they differ from the first run, and how their results come together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from diagnose.errors import UsageError
from diagnose.experiments import _running
from diagnose.model.experiment import Change, Leg, Outcome, Planned
from diagnose.model.report import Analyzed
from diagnose.recorder import RunOptions
from tests.builders import make_finding, make_run, make_scenario
from tests.experiments.legs import leg

BASE = Analyzed(make_run(), {}, (make_finding("single_threaded"),))
OPTIONS = RunOptions(make_scenario(), 64, ("./my-server",), environment={"A": "1"})
PLANNED = Planned("cores", ("single_threaded",), (Leg("a"), Leg("b", Change(connections=2))), 3, 9)


class Observer:
    """Collects notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def phase(self, name: str) -> None:
        pass

    def phase_done(self, name: str, seconds: float, said: str) -> None:
        pass

    def live(self, live: Any) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_leg_is_the_first_run_with_short_phases_and_its_change() -> None:
    change = Change(
        connections=8,
        server_cpus=(0,),
        pipeline=4,
        requests_per_connection=1,
        rate=5.0,
        timeout_s=2.0,
        duration_s=4.0,
        environment=(("B", "2"),),
    )
    made = _running.changed(OPTIONS, BASE, change)
    assert (made.connections, made.server_cpus, made.profile, made.probes) == (
        *(8, (0,), "none", False),
    )
    assert made.environment == {"A": "1", "B": "2"}
    scenario = made.scenario
    assert (scenario.pipeline, scenario.requests_per_connection, scenario.rate) == (4, 1, 5.0)
    assert (scenario.timeout_s, scenario.duration_s) == (2.0, 4.0)
    assert made.command == OPTIONS.command
    assert made.load_workers == 1


def test_more_load_workers_than_connections_are_none() -> None:
    made = _running.changed(OPTIONS, BASE, Change(connections=1, load_workers=4))
    assert made.load_workers == 1


def recorded(monkeypatch: pytest.MonkeyPatch, runs: dict[str, Analyzed | Exception]) -> list[str]:
    """Legs by their number of connections instead of runs; the order in which they were asked."""
    asked: list[str] = []

    def record(options: RunOptions, observer: Any) -> Path:
        asked.append(str(options.connections))
        result = runs[str(options.connections)]
        if isinstance(result, Exception):
            raise result
        return Path(str(options.connections))

    def analyzed(directory: Path) -> Analyzed:
        result = runs[str(directory)]
        assert isinstance(result, Analyzed)
        return result

    monkeypatch.setattr(_running, "record", record)
    monkeypatch.setattr(_running, "analyzed", analyzed)
    monkeypatch.setattr(_running, "write_findings", lambda *_: None)
    return asked


def test_legs_take_turns_forth_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = recorded(monkeypatch, {"64": leg(), "2": leg()})
    legs = _running.Legs(BASE, OPTIONS, Observer())
    seen = legs.seen(PLANNED)
    assert asked == ["64", "2", "2", "64", "64", "2"]
    assert {label: len(runs) for label, runs in seen.items()} == {"a": 3, "b": 3}
    assert [label for label, _ in legs.directories] == ["a", "b", "b", "a", "a", "b"]


def test_a_leg_that_was_recorded_is_not_recorded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = recorded(monkeypatch, {"64": leg(), "2": leg()})
    legs = _running.Legs(BASE, OPTIONS, Observer())
    legs.seen(PLANNED)
    asked.clear()
    same = replace(PLANNED, legs=(Leg("as it is"),), repeats=2)
    assert len(legs.seen(same)["as it is"]) == 2
    assert asked == []


def test_a_leg_that_fails_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(monkeypatch, {"64": leg(), "2": UsageError("no such thing")})
    observer = Observer()
    seen = _running.Legs(BASE, OPTIONS, observer).seen(PLANNED)
    assert seen["b"] == []
    assert any("no such thing" in note for note in observer.notes)


def test_an_interrupted_leg_stops_and_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    one = leg()
    stopped = replace(
        one, run=replace(one.run, manifest=replace(one.run.manifest, state="interrupted"))
    )
    recorded(monkeypatch, {"64": stopped, "2": leg()})
    legs = _running.Legs(BASE, OPTIONS, Observer())
    with pytest.raises(_running.Stopped):
        legs.seen(PLANNED)
    assert legs.directories == [("a", "64")]


def test_a_decision_names_prediction_figures_and_runs() -> None:
    runs = {"one core": [leg(1000.0)] * 3, "all cores": [leg(1010.0)] * 3}
    planned = Planned("cores", ("single_threaded",), (), 3, 9.0)
    others = [make_finding("single_threaded"), make_finding("leak")]
    (one,) = _running.decide(BASE, planned, runs, others, 0.0)
    assert one.suspect.id == "single_threaded"
    assert one.experiment == "cores"
    assert one.outcome in Outcome
    assert one.predicted == "no faster on all cores than on one"
    assert len(one.runs) == 6
