"""Which experiments are planned, in which order, and what is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnose.analysis.engine import rules
from diagnose.experiments import _planning
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from tests.builders import UPLOADS, make_finding, make_host, make_launch, make_run


def base(*findings: Finding, run: Run | None = None) -> Analyzed:
    return Analyzed(run or make_run(host=make_host(2, mode="shared")), {}, findings)


def symptom(name: str = "memory_blowup") -> Finding:
    return make_finding(name, kind=Kind.SYMPTOM)


def test_every_experiment_says_what_it_decides() -> None:
    for name, module in _planning.experiments().items():
        assert module.TITLE
        assert module.REPEATS >= 0
        assert module.DECIDES.keys() <= rules().keys(), name
        assert set(getattr(module, "ALONE", ())) <= module.DECIDES.keys()
        assert all(module.DECIDES.values())


def test_what_was_found_is_suspected() -> None:
    found = [make_finding("single_threaded"), make_finding("client_saturated", kind=Kind.VALIDITY)]
    others = [symptom("low_cpu"), make_finding("gil_bound", Verdict.CLEAR)]
    assert _planning.suspects(base(*found, *others)) == found


@pytest.mark.parametrize(("name", "suspected"), [("body_buffered", True), ("gc_pressure", False)])
def test_what_might_explain_a_symptom_is_suspected_if_an_experiment_decides_it_alone(
    name: str, suspected: bool
) -> None:
    unknown = make_finding(name, Verdict.UNKNOWN)
    assert _planning.suspects(base(symptom(), unknown)) == ([unknown] if suspected else [])
    explained = replace(symptom(), explained_by=("memory_leak",))
    assert _planning.suspects(base(explained, unknown)) == []
    assert _planning.suspects(base(unknown)) == []


def test_the_cheapest_that_decides_is_planned_and_shared_by_its_suspects() -> None:
    found = [make_finding("body_buffered"), make_finding("body_copied")]
    plan = _planning.plan(make_run(scenario=UPLOADS), found, 120.0)
    (only,) = plan.experiments
    assert (only.experiment, only.suspects) == ("body_size", ("body_buffered", "body_copied"))
    assert only.cost_s == pytest.approx(
        sum(_planning.leg_s(make_run(scenario=UPLOADS), leg) for leg in only.legs)
    )


def test_the_cheapest_comes_first() -> None:
    found = [make_finding("single_threaded"), make_finding("delayed_ack")]
    found.append(make_finding("busy_spin"))
    plan = _planning.plan(make_run(host=make_host(2, mode="shared")), found, 120.0)
    costs = [each.cost_s for each in plan.experiments]
    assert costs == sorted(costs)
    assert plan.experiments[0].experiment == "quick_ack"
    assert costs[0] == 0.0


def test_what_passes_the_budget_is_left_out_with_the_reason() -> None:
    found = [make_finding("busy_spin"), make_finding("single_threaded")]
    plan = _planning.plan(make_run(host=make_host(2, mode="shared")), found, 10.0)
    assert [each.experiment for each in plan.experiments] == ["unloaded"]
    ((name, why),) = plan.left_out
    assert name == "single_threaded"
    assert "budget of 10 s" in why


def test_a_cause_without_an_experiment_is_named() -> None:
    plan = _planning.plan(make_run(), [make_finding("debug_mode")], 120.0)
    assert plan.experiments == ()
    assert plan.left_out == (("debug_mode", "no experiment decides it"),)


def test_why_an_experiment_cannot_be_done_here() -> None:
    attached = make_run(launch=make_launch(command=(), attached=True))
    plan = _planning.plan(attached, [make_finding("single_threaded")], 120.0)
    ((_, why),) = plan.left_out
    assert "cores: the server runs already" in why
    assert "--vary" in why


def test_a_runtime_that_compiles_is_given_time() -> None:
    jvm = make_run(launch=make_launch(runtimes={5001: "jvm"}))
    assert _planning.warm_up_s(jvm) > _planning.warm_up_s(make_run())
