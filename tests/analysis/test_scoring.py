"""What a verdict is worth, given what is true of the server."""

from __future__ import annotations

import pytest

from diagnose.analysis.scoring import (
    HEALTHY,
    Answer,
    Outcome,
    Score,
    Told,
    Truth,
    judge,
    matrix,
    matters,
    scores,
)
from diagnose.model.finding import Kind, Verdict

FOUND, CLEAR, UNKNOWN = Verdict.FOUND, Verdict.CLEAR, Verdict.UNKNOWN
FAULTY = Truth("faulty", frozenset({"low_cpu"}), frozenset({"slow_tail"}))
SOUND = Truth("sound")


def said(name: str, number: int = 1, **verdicts: Verdict) -> Told:
    """A run in which the rules said this; host_noisy and its like are of the kind validity."""
    return Told(
        name,
        number,
        {
            rule: Answer(
                verdict, Kind.VALIDITY if rule == "host_noisy" else Kind.CAUSE, f"{rule} claims"
            )
            for rule, verdict in verdicts.items()
        },
    )


@pytest.mark.parametrize(
    ("rule", "verdict", "outcome"),
    [
        ("low_cpu", FOUND, Outcome.FOUND),
        ("low_cpu", CLEAR, Outcome.MISSED),
        ("low_cpu", UNKNOWN, Outcome.UNDECIDED),
        ("slow_tail", FOUND, Outcome.POSSIBLE),
        ("slow_tail", CLEAR, Outcome.QUIET),
        ("errors", FOUND, Outcome.FALSE),
        ("errors", UNKNOWN, Outcome.QUIET),
        ("errors", CLEAR, Outcome.QUIET),
    ],
)
def test_worth_of_a_verdict(rule: str, verdict: Verdict, outcome: Outcome) -> None:
    assert judge(FAULTY, rule, verdict) is outcome


def test_scores_add_up_over_servers_and_passes() -> None:
    told = [
        said("faulty", 1, low_cpu=FOUND, errors=CLEAR),
        said("faulty", 2, low_cpu=UNKNOWN, errors=FOUND),
        said("sound", 1, low_cpu=FOUND, errors=CLEAR),
        Told("sound", 2, problem="it did not start"),
    ]
    found = scores([FAULTY, SOUND], told)
    assert found["low_cpu"].counts == {Outcome.FOUND: 1, Outcome.UNDECIDED: 1, Outcome.FALSE: 1}
    assert found["low_cpu"].precision == pytest.approx(0.5)
    assert found["low_cpu"].recall == pytest.approx(0.5)
    assert found["errors"].precision == 0.0
    assert found["errors"].recall is None
    assert matters([FAULTY, SOUND], told, Outcome.FALSE) == [
        "faulty, pass 2: errors: errors claims",
        "sound, pass 1: low_cpu: low_cpu claims",
    ]


def test_finding_without_a_rule_counts_against_recall() -> None:
    assert scores([FAULTY], [said("faulty", errors=CLEAR)])["low_cpu"].recall == 0.0


def test_validity_is_held_against_no_rule() -> None:
    run = said("sound", host_noisy=FOUND, low_cpu=CLEAR)
    assert not run.valid
    assert said("sound", low_cpu=FOUND).valid
    assert "host_noisy" not in scores([SOUND], [run])
    assert matrix([SOUND], [run]) == ([HEALTHY], [], [[]])


def test_nothing_found_has_no_precision() -> None:
    assert Score({}).precision is None
    assert Score({Outcome.POSSIBLE: 2}).precision == 1.0


def test_matrix_has_shares_of_runs() -> None:
    told = [
        said("faulty", 1, low_cpu=FOUND, errors=FOUND),
        said("faulty", 2, low_cpu=FOUND, errors=CLEAR),
        said("sound", 1, errors=CLEAR),
    ]
    assert matrix([FAULTY, SOUND], told) == (
        ["low_cpu", HEALTHY],
        ["errors", "low_cpu"],
        [[0.5, 1.0], [0.0, 0.0]],
    )


def test_what_was_held_back_in_a_run_that_was_not_valid_is_no_miss() -> None:
    run = said("faulty", host_noisy=FOUND, low_cpu=UNKNOWN, errors=FOUND)
    found = scores([FAULTY], [run])
    assert found["low_cpu"].counts == {Outcome.NOT_VALID: 1}
    # A false alarm stays one.
    assert found["errors"].counts == {Outcome.FALSE: 1}


def test_a_profile_that_disturbs_leaves_the_run_valid() -> None:
    answers = {
        "profiler_disturbs": Answer(FOUND, Kind.VALIDITY),
        "low_cpu": Answer(FOUND, Kind.CAUSE),
    }
    assert Told("faulty", 1, answers).valid
