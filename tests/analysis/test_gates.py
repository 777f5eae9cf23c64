"""What a run has to keep in CI."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnose.analysis.gates import Wanted, gates, incomparable, missed
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.report import Analyzed
from tests.builders import make_finding, make_load, make_run


def item(rps: float = 1000.0, *findings: Finding) -> Analyzed:
    count = round(rps * 5)
    return Analyzed(make_run(load=make_load(ok=count, responses=count)), {}, findings)


@pytest.mark.parametrize(
    ("verdict", "kept"),
    [(Verdict.FOUND, False), (Verdict.CLEAR, True), (Verdict.UNKNOWN, True)],
)
def test_a_finding(verdict: Verdict, kept: bool) -> None:
    run = item(1000.0, make_finding("memory_leak", verdict))
    (gate,) = gates(run, Wanted(fail_on=("memory_leak",)))
    assert (gate.name, gate.kept) == ("fail-on memory_leak", kept)


def test_a_finding_that_no_rule_gave_lets_nothing_through() -> None:
    kept = gates(item(), Wanted(fail_on=("memory_leak",)))
    assert kept[0].kept is None
    assert missed(kept) == kept


def test_memory() -> None:
    run = item()
    peak = max(sample.rss for sample in run.run.samples)
    for limit, kept in ((peak, True), (peak - 1, False)):
        (gate,) = gates(run, Wanted(memory_bytes=limit))
        assert gate.kept is kept
    empty = replace(run, run=replace(run.run, samples=()))
    assert gates(empty, Wanted(memory_bytes=1))[0].kept is None


@pytest.mark.parametrize(("rps", "kept"), [(960.0, True), (940.0, False)])
def test_throughput(rps: float, kept: bool) -> None:
    (gate,) = gates(item(rps), Wanted(least_ratio=0.95, baseline=item(1000.0)))
    assert gate.kept is kept
    assert "0.9" in gate.said


def test_throughput_of_a_doubtful_run_is_not_told() -> None:
    doubt = make_finding("client_saturated", kind=Kind.VALIDITY)
    wanted = Wanted(least_ratio=0.95, baseline=item(1000.0))
    (gate,) = gates(item(2000.0, doubt), wanted)
    assert gate.kept is None
    assert "client_saturated" in gate.said
    (gate,) = gates(item(), Wanted(least_ratio=0.95, baseline=item(0.0)))
    assert gate.kept is None


def test_another_load_cannot_be_held_against_it() -> None:
    other = replace(item(), run=make_run(connections=8))
    assert incomparable(item(), item()) == []
    assert incomparable(item(), other) == ["connections: 8 and 64"]
    assert incomparable(item(), other, ("connections",)) == []


def test_nothing_is_asked_by_default() -> None:
    assert not Wanted().anything
    assert gates(item(), Wanted()) == []
