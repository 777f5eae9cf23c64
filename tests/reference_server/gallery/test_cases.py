"""Every case declares what it should, consistently, and its sources are there."""

from __future__ import annotations

import re
from collections import Counter
from types import ModuleType
from typing import cast

import pytest

from diagnose.scenario.catalog import find_scenario
from reference_server.faults import Fault, FaultModule
from reference_server.gallery import Case, Group, cases, faults
from reference_server.gallery.building import SOURCES
from reference_server.gallery.case import DEBIAN

CASES = cases()
BY_NAME = {case.name: case for case in CASES}


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    """Each case in turn."""
    assert isinstance(request.param, Case)
    return request.param


def test_names_are_unique() -> None:
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


def test_what_is_true_is_not_false_as_well(case: Case) -> None:
    told = [*case.true_findings, *case.possible_findings, *case.false_findings]
    assert [name for name, count in Counter(told).items() if count > 1] == []
    assert all(re.fullmatch(r"[a-z][a-z_0-9]+", name) for name in [case.name, *told])
    assert case.false_findings


def test_only_the_faulty_have_something_to_find(case: Case) -> None:
    assert bool(case.true_findings) != case.healthy
    if case.group in (Group.HEALTHY, Group.EDGE):
        assert case.healthy
    if case.group is Group.FAULT:
        assert not case.healthy


def test_load_is_one_that_diagnose_knows(case: Case) -> None:
    assert find_scenario(case.scenario).templates
    assert case.connections >= 1
    assert case.title
    assert not case.title.endswith(".")


def test_port_reaches_the_server(case: Case) -> None:
    # Scripts and configurations find it in their environment.
    in_source = any("env.PORT" in (SOURCES / name).read_text() for name in case.recipe.sources)
    assert in_source or any("$PORT" in word for word in case.command)


def test_sources_are_there(case: Case) -> None:
    for name in case.recipe.sources:
        assert (SOURCES / name).is_file()
    assert ("$HERE" in " ".join(case.command)) == bool(case.recipe.sources)


@pytest.mark.parametrize(
    "runtime", ["node", "go", "java", "c"], ids=lambda runtime: f"{runtime}-faults"
)
def test_each_runtime_shows_what_it_can(runtime: str) -> None:
    shown = {
        finding
        for case in CASES
        if case.runtime == runtime and case.group is Group.FAULT
        for finding in case.true_findings
    }
    assert {"low_cpu", "memory_blowup", "delayed_ack", "accept_bottleneck"} <= shown
    # One run cannot tell bodies from garbage in a heap that grows as it likes.
    assert ("body_buffered" in shown) == (runtime != "java")
    if runtime != "c":
        assert "gc_pressure" in shown
    if runtime != "node":
        assert "lock_contention" in shown
    if runtime != "go":
        assert {"single_threaded", "blocking_event_loop"} <= shown
    assert any(case.runtime == runtime and case.healthy for case in CASES)


def test_edges_are_covered() -> None:
    edges = {case.name for case in CASES if case.group is Group.EDGE}
    assert edges >= {
        *("idle", "full_cpu", "large_memory", "parked_threads", "starved", "slow_handler"),
        *("one_connection", "reference_4096", "nginx_4096", "go_4096"),
    }
    assert [case.name for case in CASES if case.companion] == ["starved"]


def test_ten_servers_are_of_others_and_five_of_them_faulty() -> None:
    wild = [case for case in CASES if case.group is Group.WILD]
    assert len(wild) >= 10
    assert len([case for case in wild if not case.healthy]) >= 5


def test_programs_that_debian_names_otherwise_are_known() -> None:
    needed = {program for case in CASES for program in case.needs.programs}
    assert set(DEBIAN) <= needed | {"java", "javac"}


def test_fault_becomes_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Fault(
        name="loaded",
        description="What is wrong.\n\nWhat a user sees: a figure.",
        scenario="upload-20mb",
        connections=32,
        true_findings=("low_cpu",),
        possible_findings=("stalls",),
        false_findings=("hung",),
        run_options=("-r", "5"),
        module=cast("FaultModule", ModuleType("loaded")),
    )
    monkeypatch.setattr(faults, "fault_names", lambda: ["loaded"])
    monkeypatch.setattr(faults, "load_fault", lambda name: fault)
    (case,) = faults.fault_cases()
    assert (case.name, case.group, case.title) == ("loaded", Group.FAULT, "What is wrong")
    assert case.command[-4:] == ("--port", "$PORT", "--fault", "loaded")
    assert (case.scenario, case.connections, case.run_options) == ("upload-20mb", 32, ("-r", "5"))
    assert case.true_findings == ("low_cpu",)
    assert case.possible_findings == ("stalls",)
    assert case.false_findings == ("hung",)
    assert not case.healthy
