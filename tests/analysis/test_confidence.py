"""What a stored selftest says of a rule, and where findings carry it."""

from __future__ import annotations

import msgspec
import pytest

from diagnose.analysis import confidence, engine
from diagnose.analysis.confidence import Measured, Record, encoded, measured
from diagnose.model.finding import Finding, Kind, Verdict

ABOUT = {
    **{"version": "0.1.0", "date": "2026-11-25T10:00:00+00:00", "cpu": "a CPU", "cores": 2},
    **{"kernel": "6.1", "servers": 98, "passes": 3},
}
RULES = {
    "low_cpu": {"found": 26, "possible": 1, "false": 1, "missed": 2, "undecided": 0},
    "errors": {"found": 0, "possible": 0, "false": 0, "missed": 0, "undecided": 3},
}


@pytest.fixture
def stored() -> Measured:
    return msgspec.json.decode(encoded(ABOUT, RULES), type=Measured)


def test_precision_is_of_all_that_was_found(stored: Measured) -> None:
    assert stored.rules["low_cpu"].precision == pytest.approx(27 / 28)
    assert stored.rules["errors"].precision is None
    assert Record(found=3).precision == 1.0


def test_a_sentence_has_counts_place_and_day(stored: Measured) -> None:
    where = "(2 cores, 2026-11-25)"
    assert stored.sentence("low_cpu") == f"right in 27 of 28 selftest runs that found it {where}"
    never = f"never found in the selftest {where}"
    assert stored.sentence("errors") == stored.sentence("no_rule") == never


def test_what_lacks_a_field_is_not_stored() -> None:
    with pytest.raises(msgspec.ValidationError):
        encoded({**ABOUT, "cores": "two"}, RULES)


# Any other file of the package is of another form.
@pytest.mark.parametrize("name", ["no-such-file.json", "engine.py"])
def test_without_a_readable_file_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    measured.cache_clear()
    monkeypatch.setattr(confidence, "FILE", name)
    assert measured() is None
    measured.cache_clear()


def answer(rule: str, verdict: Verdict) -> Finding:
    return Finding(rule, Kind.SYMPTOM, verdict, "a claim")


def test_only_what_was_found_carries_it(stored: Measured) -> None:
    told = engine.trusted(answer("low_cpu", Verdict.FOUND), stored)
    assert (told.confidence, told.measured) == (27 / 28, stored.sentence("low_cpu"))
    for finding in (answer("low_cpu", Verdict.CLEAR), answer("no_rule", Verdict.FOUND)):
        assert engine.trusted(finding, stored) == finding
    assert engine.trusted(answer("low_cpu", Verdict.FOUND), None).confidence is None


def test_rules_that_read_profiles_say_so() -> None:
    for name, rule in engine.rules().items():
        reads = {"work", "lock_frames"} & set(vars(rule))
        assert bool(reads) <= getattr(rule, "PROFILED", False), name
