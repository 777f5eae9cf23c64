"""What an investigation decided is read back, and found from its first run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from diagnose.errors import UsageError
from diagnose.model.experiment import Outcome, Plan
from diagnose.reports import investigation
from diagnose.store.investigated import first_run, investigation_of, read_investigation
from tests.builders import make_run
from tests.reports.test_experiments import done
from tests.store.stored import store


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An investigation with its first run in it."""
    place = tmp_path / "investigation"
    base = store(place, make_run())
    document = investigation.document(done(Outcome.REFUTED, Outcome.CONFIRMED))
    document["base"] = f"somewhere/else/{base.name}"
    (place / "investigation.json").write_text(json.dumps(document))
    return place


def test_what_was_written_is_read(directory: Path) -> None:
    read = read_investigation(directory)
    assert read is not None
    assert [one.id for one in read.of(Outcome.CONFIRMED)] == ["cause_1"]
    assert [one.id for one in read.of(Outcome.REFUTED)] == ["cause_0"]
    assert read.plan[0].title == "the server on one core, then on all"
    assert read.decisions[0].evidence[0].value == 1.0
    assert read.runs[0].leg == "one core"
    base = first_run(directory, read)
    assert investigation_of(base) == read


def test_a_figure_that_is_not_finite_is_read(directory: Path) -> None:
    path = directory / "investigation.json"
    path.write_text(path.read_text().replace('"value": 1.0', '"value": Infinity'))
    read = read_investigation(directory)
    assert read is not None
    assert read.decisions[0].evidence[0].value == float("inf")


def test_the_other_runs_are_not_the_first(directory: Path) -> None:
    assert investigation_of(directory / "another") is None
    assert investigation_of(directory) is None
    assert read_investigation(directory.parent) is None


def test_a_first_run_that_is_gone(directory: Path) -> None:
    read = read_investigation(directory)
    assert read is not None
    with pytest.raises(UsageError, match="is gone"):
        first_run(directory.parent, read)


@pytest.mark.parametrize(
    ("text", "said"), [("{", "damaged"), ('{"schema": 1}', "damaged"), (None, "has schema 9")]
)
def test_what_cannot_be_read_is_said(directory: Path, text: str | None, said: str) -> None:
    path = directory / "investigation.json"
    if text is None:
        text = json.dumps({**json.loads(path.read_text()), "schema": 9})
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_investigation(directory)


def test_an_empty_plan_is_read(tmp_path: Path) -> None:
    document = investigation.document(replace(done(), plan=Plan(())))
    (tmp_path / "investigation.json").write_text(json.dumps(document))
    read = read_investigation(tmp_path)
    assert read is not None
    assert read.plan == ()
