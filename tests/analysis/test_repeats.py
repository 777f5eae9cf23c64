"""Runs of the same thing: the best valid one counts, the spread is over the valid ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnose.analysis.repeats import repeats
from diagnose.model.finding import Kind
from diagnose.model.report import Analyzed
from tests.builders import empty_run, make_finding, make_load, make_run
from tests.reports.screens import analyzed


def at(ok: int, *, valid: bool = True, connections: int = 64, name: str = "r") -> Analyzed:
    """A run of 5 s with so many right responses."""
    found = [] if valid else [make_finding("host_noisy", kind=Kind.VALIDITY)]
    run = make_run(load=make_load(ok=ok), connections=connections, directory=f"runs/{name}")
    return analyzed(run, found)


def test_best_median_and_spread() -> None:
    (group,) = repeats([at(5000), at(5500), at(4900)])
    assert group.best_rps == 1100
    assert group.median_rps == 1000
    assert group.lowest_rps == 980
    assert group.spread == pytest.approx(0.12)
    assert group.invalid == ()


def test_a_run_that_is_not_valid_does_not_count() -> None:
    (group,) = repeats([at(5000), at(9000, valid=False), at(5100)])
    assert group.best_rps == 1020
    assert group.spread == pytest.approx(100 / 5050)
    assert len(group.invalid) == 1


def test_without_a_valid_run_all_count() -> None:
    (group,) = repeats([at(5000, valid=False), at(6000, valid=False)])
    assert group.best_rps == 1200
    assert len(group.invalid) == 2


def test_one_run_has_no_spread() -> None:
    (group,) = repeats([at(5000)])
    assert group.spread is None


def test_other_connections_and_servers_are_other_groups() -> None:
    other = at(5000)
    launch = replace(other.run.manifest.launch, name="other")
    manifest = replace(other.run.manifest, launch=launch)
    other = replace(other, run=replace(other.run, manifest=manifest))
    groups = repeats([at(1), at(2, connections=512), other, at(3)])
    assert [(group.connections, len(group.runs)) for group in groups] == [
        (64, 2),
        (512, 1),
        (64, 1),
    ]


def test_nothing_measured() -> None:
    (group,) = repeats([analyzed(empty_run()), analyzed(empty_run())])
    assert group.best_rps == 0
    assert group.spread is None
    assert repeats([]) == []
