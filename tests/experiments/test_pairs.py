"""Pairs of runs: their order, and when they are enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from diagnose.analysis.comparison import LOOKS, Change
from diagnose.errors import UsageError
from diagnose.experiments import _pairs
from diagnose.model.report import Analyzed
from diagnose.recorder import RunOptions
from tests.builders import ended, make_scenario
from tests.experiments.legs import leg
from tests.experiments.test_running import Observer

BASE = RunOptions(make_scenario(), 64, ("./old",), name="base")
NEW = RunOptions(make_scenario(), 64, ("./new",), name="new")


def recorded(monkeypatch: pytest.MonkeyPatch, figures: dict[str, Any]) -> list[RunOptions]:
    """Runs without servers; figures by name of the side: a function of the number of the run."""
    asked: list[RunOptions] = []

    def record(options: RunOptions, observer: Any) -> Path:
        asked.append(options)
        return Path(str(len(asked)))

    def analyzed(directory: Path) -> Analyzed:
        options = asked[int(str(directory)) - 1]
        made = figures[options.name](sum(one.name == options.name for one in asked))
        if isinstance(made, Exception):
            raise made
        assert isinstance(made, Analyzed)
        return made

    monkeypatch.setattr(_pairs, "record", record)
    monkeypatch.setattr(_pairs, "analyzed", analyzed)
    monkeypatch.setattr(_pairs, "write_findings", lambda *_: None)
    return asked


def steady(rps: float) -> Any:
    """Figures that swing by 1 % from run to run."""
    return lambda number: leg(rps * (1 + 0.01 * (number * 7 % 5 - 2) / 2))


def test_sides_take_turns_forth_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = recorded(monkeypatch, {"base": steady(1000), "new": steady(1000)})
    _pairs.record_pairs(BASE, NEW, Observer(), 1e9)
    assert [one.name for one in asked[:6]] == ["base", "new", "new", "base", "base", "new"]
    # No trial of the load workers after the first run.
    assert {one.load_workers for one in asked[1:]} == {1}


def test_a_clear_difference_ends_at_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(monkeypatch, {"base": steady(1000), "new": steady(700)})
    sides = _pairs.record_pairs(BASE, NEW, Observer(), 1e9)
    assert sides.pairs == LOOKS[0]
    assert sides.stopped == ""
    (rate,) = [row for row in sides.rows() if row.metric.name == "rps"]
    assert rate.change is Change.WORSE
    assert rate.interval.ratio == pytest.approx(0.7, abs=0.01)


def test_what_is_never_clear_ends_with_the_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    wild = {"base": lambda n: leg(1000 + 300 * (n % 2)), "new": lambda n: leg(1000 + 300 * (n % 3))}
    recorded(monkeypatch, wild)
    sides = _pairs.record_pairs(BASE, NEW, Observer(), 1e9)
    assert sides.pairs == LOOKS[-1]
    assert "did not decide" in sides.stopped


def test_the_budget_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(monkeypatch, {"base": steady(1000), "new": steady(1000)})
    moments = iter(range(0, 10_000, 5))
    sides = _pairs.record_pairs(BASE, NEW, Observer(), 30, lambda: next(moments))
    assert 1 <= sides.pairs < LOOKS[0]
    assert "budget of 30 s" in sides.stopped


def test_ctrl_c_keeps_the_whole_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopping(number: int) -> Analyzed:
        one = leg(1000)
        if number < 3:
            return one
        manifest = replace(one.run.manifest, state="interrupted")
        return replace(one, run=replace(one.run, manifest=manifest))

    recorded(monkeypatch, {"base": steady(1000), "new": stopping})
    sides = _pairs.record_pairs(BASE, NEW, Observer(), 1e9)
    assert sides.stopped == "interrupted"
    assert sides.pairs == 2


@pytest.mark.parametrize("side", ["base", "new"])
@pytest.mark.parametrize("how", ["died", "answered nothing right"])
def test_a_server_that_dies_or_answers_nothing_leaves_nothing_to_compare(
    monkeypatch: pytest.MonkeyPatch, side: str, how: str
) -> None:
    def broken(number: int) -> Analyzed:
        one = leg(1000 if how == "died" or number == 1 else 0)
        if how == "died" and number > 1:
            manifest = replace(one.run.manifest, end=ended(5))
            return replace(one, run=replace(one.run, manifest=manifest))
        return one

    other = "new" if side == "base" else "base"
    recorded(monkeypatch, {side: broken, other: steady(1000)})
    sides = _pairs.record_pairs(BASE, NEW, Observer(), 1e9)
    words = "ended (status 5) during window" if how == "died" else "gave no right answer"
    assert sides.stopped == sides.failed == f"the {side} server {words} in run 2"
    assert sides.pairs == 2


def test_an_error_at_first_is_an_error_and_later_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(after: int) -> Any:
        return lambda number: UsageError("gone") if number > after else leg(1000)

    recorded(monkeypatch, {"base": steady(1000), "new": failing(0)})
    with pytest.raises(UsageError, match="gone"):
        _pairs.record_pairs(BASE, NEW, Observer(), 1e9)
    recorded(monkeypatch, {"base": steady(1000), "new": failing(2)})
    sides = _pairs.record_pairs(BASE, NEW, Observer(), 1e9)
    assert sides.pairs == 2
    assert "a run failed: gone" in sides.stopped
