"""slower_than_reference: a run by itself holds no reference."""

from __future__ import annotations

import shlex

from diagnose.analysis.rules.slower_than_reference import check
from diagnose.model.finding import Verdict
from tests.builders import empty_run, make_run, make_scenario


def test_a_single_run_is_unknown_with_the_command_that_decides() -> None:
    scenario = make_scenario(name="json@2026-04")
    answer = check(make_run(scenario=scenario, connections=512))
    assert answer.verdict is Verdict.UNKNOWN
    command = answer.claim.split("`")[1]
    assert shlex.split(command)[:5] == ["diagnose", "run", "json@2026-04", "-c", "512"]
    assert "--against reference" in command


def test_so_is_an_empty_one() -> None:
    assert check(empty_run()).verdict is Verdict.UNKNOWN
