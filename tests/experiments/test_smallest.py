"""Smaller loads: what they are made of, and when the search ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from diagnose.analysis.minimizing import Step
from diagnose.errors import UsageError
from diagnose.experiments import _smallest
from diagnose.experiments._smallest import Smallest, change, grew, ranges
from diagnose.model.finding import Verdict
from diagnose.model.report import Analyzed
from diagnose.recorder import RunOptions
from tests.builders import MIB, UPLOADS, make_finding, make_run, make_scenario, upload_run
from tests.experiments.test_running import Observer


def test_what_can_be_made_smaller() -> None:
    assert [each.name for each in ranges(make_run())] == ["connections", "duration_s"]
    names = [each.name for each in ranges(upload_run())]
    assert names[:2] == ["connections", "body_bytes"]
    get = make_scenario().templates[0]
    two = make_scenario(templates=(get, replace(get, name="other"), get), duration_s=1.0)
    assert [each.name for each in ranges(make_run(scenario=two))] == ["connections", "templates"]


def test_a_smaller_body_is_answered_with_its_own_length() -> None:
    upload = UPLOADS.templates[0]
    upload = replace(upload, expect=replace(upload.expect, body=str(upload.body_length)))
    run = make_run(scenario=replace(UPLOADS, templates=(upload,)))
    made = change(run, {"connections": 2, "body_bytes": 1024})
    assert made.templates is not None
    assert (made.templates[0].body_length, made.templates[0].expect.body) == (1024, "1024")
    assert made.connections == 2


def test_fewer_kinds_of_request_are_the_first_ones() -> None:
    get = make_scenario().templates[0]
    scenario = make_scenario(templates=(get, replace(get, name="b"), get, replace(get, name="c")))
    made = change(make_run(scenario=scenario), {"connections": 1, "templates": 2})
    assert made.templates is not None
    assert [template.name for template in made.templates] == [get.name, "b", get.name]


def searched(
    monkeypatch: pytest.MonkeyPatch, needed: int, fails: bool = False, growth_bytes: int = 0
) -> tuple[Smallest, list[RunOptions]]:
    asked: list[RunOptions] = []
    base = Analyzed(make_run(), {}, (make_finding("connection_cap"),))

    def record(options: RunOptions, observer: Any) -> Path:
        asked.append(options)
        if fails and len(asked) > 1:
            raise UsageError("gone")
        return Path(str(options.connections))

    def analyzed(directory: Path) -> Analyzed:
        shows = int(str(directory)) >= needed
        verdict = Verdict.FOUND if shows else Verdict.CLEAR
        return Analyzed(make_run(), {}, (make_finding("connection_cap", verdict),))

    monkeypatch.setattr(_smallest, "record", record)
    monkeypatch.setattr(_smallest, "analyzed", analyzed)
    monkeypatch.setattr(_smallest, "write_findings", lambda *_: None)
    options = RunOptions(make_scenario(), 64, ("./my-server",))
    return Smallest(base, "connection_cap", options, Observer(), growth_bytes), asked


def test_the_smallest_load_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    search, asked = searched(monkeypatch, 50)
    assert search.confirm()
    steps: list[Step] = []
    search.find(steps.append, lambda: False)
    assert 50 <= search.smallest.connections <= 64
    assert search.smallest.scenario.duration_s == 1.0
    assert steps[0].name == "connections"
    assert all(options.probes for options in asked)
    assert search.stopped == ""


def test_a_profile_is_taken_where_the_rule_reads_one(monkeypatch: pytest.MonkeyPatch) -> None:
    search, _ = searched(monkeypatch, 1)
    assert search.smallest.profile == "none"
    search._finding = "lock_contention"
    assert search.smallest.profile == "auto"


def test_memory_has_to_grow_too(monkeypatch: pytest.MonkeyPatch) -> None:
    search, _ = searched(monkeypatch, 1, growth_bytes=1000)
    monkeypatch.setattr(_smallest, "grew", lambda run: 1000)
    assert search.confirm()
    monkeypatch.setattr(_smallest, "grew", lambda run: 999)
    assert not search.confirm()


def test_growth_is_counted_from_before_the_load() -> None:
    grown = upload_run(growth=100 * MIB, baseline=64 * MIB)
    assert grew(grown) == pytest.approx(100 * MIB, rel=0.01)


def test_memory_that_was_not_measured_did_not_grow() -> None:
    assert grew(make_run(samples=())) == 0


def test_the_budget_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    search, asked = searched(monkeypatch, 50)
    search.find(lambda _: None, lambda: len(asked) >= 3)
    assert search.stopped == "the budget was spent"
    assert len(asked) == 3


def test_runs_that_fail_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    search, _ = searched(monkeypatch, 1, fails=True)
    assert search.confirm()
    search.find(lambda _: None, lambda: False)
    assert search.smallest.connections == 64
