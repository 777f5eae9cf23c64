"""What a request costs function by function, in two runs."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from rich.console import Console

from diagnose.analysis.figures import figures
from diagnose.analysis.profile_change import Way, changes, costs, mixed, stack_costs
from diagnose.model.profile import ProfileNote
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.reports import profile_change
from tests.builders import make_load, make_profile, make_run
from tests.reports.screens import analyzed


def run(stacks: dict[str, int], responses: int = 5000) -> Run:
    load = make_load(responses=responses, ok=responses)
    return make_run(load=load, profiles=[make_profile(stacks)])


BASE = {"main;parse": 600, "main;send": 300, "main;log": 100}


def test_costs_add_up_to_the_cpu_time_of_a_request() -> None:
    one = run(BASE)
    seen = figures(one)
    assert seen.cpu_cores
    total = seen.cpu_cores * seen.duration_s / seen.responses
    told = costs(one)
    assert sum(cost.seconds for cost in told.values()) == pytest.approx(total)
    assert told["parse"].seconds == pytest.approx(0.6 * total)
    # Binomial: sqrt(p (1 - p) / n).
    assert told["parse"].error == pytest.approx(total * (0.6 * 0.4 / 1000) ** 0.5)


def test_a_function_that_costs_the_same_does_not_change_although_others_grow() -> None:
    """Half the requests in the same CPU time: each costs twice; all of it is parsing."""
    new = run({"main;parse": 800, "main;send": 150, "main;log": 50}, responses=2500)
    (change,) = changes(run(BASE), new)
    assert (change.frame, change.way) == ("parse", Way.GREW)


def test_stacks_cost_a_request_before_and_now() -> None:
    """The root of a thread has its address, which is another one in each run."""
    before = run({"thread (0x7f01): main;parse": 600, "thread (0x7f01): main;send": 400})
    now = run({"thread (0x55aa): main;parse": 900, "main;log": 100}, responses=2500)
    told = {one.frames: (one.before, one.now) for one in stack_costs(before, now)}
    assert set(told) == {("parse",), ("send",), ("main", "log")}
    cost, later = (costs(one)["parse"].seconds for one in (before, now))
    assert told[("parse",)] == pytest.approx((cost, later))
    assert told[("send",)][1] == told[("main", "log")][0] == 0.0
    assert next(iter(told)) == ("parse",)


def test_stacks_of_profiles_that_cannot_be_compared_are_not() -> None:
    assert stack_costs(run({"main;parse": 20}), run(BASE)) == ()


def test_what_came_and_what_went() -> None:
    new = run({"main;parse": 600, "main;send": 300, "main;json": 100})
    found = {change.frame: change.way for change in changes(run(BASE), new)}
    assert found == {"log": Way.GONE, "json": Way.APPEARED}


def test_noise_is_no_change() -> None:
    assert changes(run(BASE), run({"main;parse": 615, "main;send": 290, "main;log": 95})) == []


def test_several_profilers_on_one_process_count_once() -> None:
    one = run(BASE)
    twice = replace(one, profiles=(*one.profiles, make_profile({"native": 1000})))
    assert "native" not in costs(twice)


def taken(**changes: object) -> Run:
    """The base, with its profile taken in another way."""
    profile = make_profile(BASE)
    note = msgspec.convert({**msgspec.to_builtins(profile.note), **changes}, type=ProfileNote)
    return replace(run(BASE), profiles=(replace(profile, note=note),))


WAYS = [
    pytest.param({"rate_hz": 99}, "py_spy on-cpu at 49 Hz; py_spy on-cpu at 99 Hz", id="rate"),
    pytest.param({"kind": "off-cpu"}, "py_spy on-cpu at 49 Hz; py_spy off-cpu at 49", id="kind"),
    pytest.param({"profiler": "perf"}, "py_spy on-cpu at 49 Hz; perf on-cpu", id="profiler"),
    pytest.param({"options": ["--gil"]}, "Hz; py_spy --gil on-cpu at 49 Hz", id="threads"),
    pytest.param({"unit": "us"}, "different ways", id="unit"),
]


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (run({"main;parse": 10}), "10 samples"),
        (make_run(profiles=[make_profile(BASE)], samples=()), "no CPU time"),
    ],
)
def test_what_is_not_there_cannot_be_compared(new: Run, why: str) -> None:
    assert why in mixed(run(BASE), new)
    assert why in mixed(run(BASE), new, anyway=True)
    with pytest.raises(ValueError, match=why):
        changes(run(BASE), new, anyway=True)
    assert "cannot be compared" in shown(run(BASE), new)


@pytest.mark.parametrize(("changed", "why"), WAYS)
def test_other_ways_are_refused_unless_told(changed: dict[str, object], why: str) -> None:
    new = taken(**changed)
    assert why in mixed(run(BASE), new)
    assert "--mixed compares them anyway" in mixed(run(BASE), new)
    with pytest.raises(ValueError, match="different ways"):
        changes(run(BASE), new)
    assert "cannot be compared" in shown(run(BASE), new)
    assert mixed(run(BASE), new, anyway=True) == ""
    assert changes(run(BASE), new, anyway=True) == []
    told = shown(run(BASE), new, anyway=True)
    assert "were taken in different ways" in told
    assert "no function changed" in told


def test_only_the_profiler_that_counts_has_to_be_the_same() -> None:
    """perf beside py-spy may find a process too idle in one run, and not in the other."""
    one = run(BASE)
    beside = make_profile({"native": 1000})
    beside = replace(beside, note=replace(beside.note, profiler="perf", rate_hz=99))
    assert mixed(one, replace(one, profiles=(*one.profiles, beside))) == ""


def shown(base: Run, new: Run, anyway: bool = False) -> str:
    """What a terminal gets."""
    console = Console(width=160)
    with console.capture() as captured:
        console.print(profile_change.render(item(base), item(new), anyway))
    return captured.get()


def item(one: Run) -> Analyzed:
    return analyzed(one, ())


def test_the_table() -> None:
    new = run({"main;parse": 600, "main;send": 300, "main;[b]json": 100})
    console = Console(width=120)
    with console.capture() as captured:
        console.print(profile_change.render(item(run(BASE)), item(new)))
    text = captured.get()
    assert "appeared" in text
    assert "[b]json" in text
    with console.capture() as captured:
        console.print(profile_change.render(item(run(BASE)), item(run(BASE))))
    assert "no function changed" in captured.get()
