"""A self-test as text, JSON and picture."""

from __future__ import annotations

import json

from diagnose.analysis.scoring import Answer, Told, Truth
from diagnose.model.finding import Kind, Verdict
from diagnose.reports.selftest import document, picture, runs, text, verdict

TRUTHS = [Truth("faulty", frozenset({"low_cpu"})), Truth("sound")]
TOLD = [
    Told(
        "faulty",
        1,
        {
            "low_cpu": Answer(Verdict.FOUND, Kind.SYMPTOM, "cores were idle"),
            "errors": Answer(Verdict.CLEAR, Kind.SYMPTOM, "no failures"),
        },
        seconds=10.0,
    ),
    Told("sound", 1, {"low_cpu": Answer(Verdict.FOUND, Kind.SYMPTOM, "wrong claim")}, seconds=5.0),
    Told("sound", 2, problem="it did not start"),
]
ABSENT = {"ruby": "ruby is not on PATH"}


def test_text_names_what_was_wrong_and_what_was_left_out() -> None:
    lines = text(TRUTHS, TOLD, ABSENT).splitlines()
    (line,) = [line for line in lines if line.startswith("low_cpu")]
    assert line.split() == ["low_cpu", "1", "0", "0", "0", "0", "1", "0.50"]
    assert "  ruby: ruby is not on PATH" in lines
    assert "  sound, pass 2: it did not start" in lines
    assert "  sound, pass 1: low_cpu: wrong claim" in lines
    assert "nothing to find here, and nothing found: errors" in lines
    assert not any(line.startswith(("missed (", "undecided (")) for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_verdict_sums_it_up() -> None:
    assert verdict(TRUTHS, TOLD) == (
        "1 of 1 true findings found, 0 missed, 0 undecided, 0 in runs that were not valid; "
        "1 false, in 3 runs, 15 s"
    )


def test_document_is_json_with_the_figures_of_each_rule() -> None:
    made = json.loads(json.dumps(document(TRUTHS, TOLD, ABSENT, {"cores": 2})))
    assert made["cores"] == 2
    assert made["rules"]["low_cpu"]["precision"] == 0.5
    assert made["rules"]["errors"]["precision"] is None
    assert [run["verdicts"].get("low_cpu") for run in made["runs"]] == ["found", "found", None]
    assert made["not_run"] == ABSENT


def test_picture_is_a_png_or_nothing() -> None:
    assert picture(TRUTHS, TOLD).startswith(b"\x89PNG")
    assert picture(TRUTHS, []) == b""


def test_a_run_that_was_not_valid_says_why_and_blames_no_rule() -> None:
    disturbed = Told(
        "faulty",
        1,
        {
            "low_cpu": Answer(Verdict.UNKNOWN, Kind.SYMPTOM, "held back"),
            "host_noisy": Answer(Verdict.FOUND, Kind.VALIDITY, "others took 0.5 cores"),
        },
        repeated=True,
    )
    lines = text(TRUTHS, [disturbed], {}).splitlines()
    assert "  faulty, pass 1, also when repeated: host_noisy" in lines
    (line,) = [line for line in lines if line.startswith("low_cpu")]
    assert line.split() == ["low_cpu", "0", "0", "0", "1", "0", "0", "-"]
    assert not any(line.startswith("undecided (") for line in lines)
    made = document(TRUTHS, [disturbed], {}, {})
    assert made["rules"]["low_cpu"]["not_valid"] == 1
    assert made["runs"][0]["repeated"]


def test_runs_of_a_document_are_those_that_were_told() -> None:
    assert runs(json.loads(json.dumps(document(TRUTHS, TOLD, ABSENT, {})))) == TOLD
