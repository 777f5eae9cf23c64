"""The stable form for other programs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from diagnose.model.finding import Evidence, Verdict
from diagnose.model.run import Run
from diagnose.reports.json import SCHEMA, document, render
from tests.builders import (
    MIB,
    empty_run,
    make_finding,
    make_load,
    make_run,
    make_samples,
    one_thread,
    upload_run,
)
from tests.reports.screens import ESCAPES, MARKUP, analyzed, everywhere

# DESIGN.md, "Reports"; the others stand beside them.
RUN_KEYS = {"run", "scenario", "connections", "figures", "findings"} | {
    "name",
    "state",
    "profiling",
}
FIGURES = {"rps", "responses", "p50_s", "p99_s", "cpu_cores", "peak_rss_bytes", "errors"}
FINDING_KEYS = {"id", "kind", "verdict", "confidence", "claim", "evidence", "next_step"}
EVIDENCE_KEYS = {"metric", "value", "unit", "threshold", "source"}

RUNS = {
    "healthy": make_run(),
    "one thread": make_run(samples=make_samples(one_thread())),
    "uploads": upload_run(growth=900 * MIB),
    "no load": make_run(load=None),
    "empty": empty_run(),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS.keys())
def test_shape_is_that_of_the_design(run: Run) -> None:
    read = json.loads(render([analyzed(run)]))
    assert set(read) == {"schema", "runs"}
    assert read["schema"] == SCHEMA == 1
    (one,) = read["runs"]
    assert set(one) == RUN_KEYS
    assert set(one["figures"]) >= FIGURES
    assert all(value is None or type(value) in (int, float) for value in one["figures"].values())
    assert one["findings"]
    for finding in one["findings"]:
        # New fields may come at any time; this one is there for symptoms that were found.
        symptom = finding["kind"] == "symptom" and finding["verdict"] == "found"
        assert set(finding) == FINDING_KEYS | ({"explained_by"} if symptom else set())
        assert finding["verdict"] in ("found", "clear", "unknown")
        assert finding["kind"] in ("validity", "symptom", "cause")
        assert finding["confidence"] is None or 0 <= finding["confidence"] <= 1
        for row in finding["evidence"]:
            assert set(row) == EVIDENCE_KEYS


def test_every_figure_is_documented() -> None:
    """docs/json.md is what other programs are written by."""
    text = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
    listed = re.search(r'"figures": \{(.*?)\}', text, re.DOTALL)
    assert listed is not None
    (one,) = document([analyzed(make_run())])["runs"]
    assert set(re.findall(r'"(\w+)"', listed[1])) == set(one["figures"])


def test_values_are_those_of_the_run() -> None:
    run = make_run(load=make_load(ok=2500))
    (one,) = json.loads(render([analyzed(run)]))["runs"]
    assert one["run"] == run.directory
    assert one["scenario"] == "baseline"
    assert one["connections"] == 64
    assert one["name"] == "my-server"
    assert one["state"] == "complete"
    assert one["figures"]["rps"] == 500.0
    assert one["figures"]["p50_s"] == 0.062


def test_what_was_not_measured_is_null() -> None:
    (one,) = json.loads(render([analyzed(empty_run())]))["runs"]
    assert one["figures"]["p50_s"] is None
    assert one["figures"]["cpu_cores"] is None
    assert one["figures"]["peak_rss_bytes"] is None


def test_one_element_for_each_run_in_order() -> None:
    items = [analyzed(make_run(connections=count)) for count in (64, 512, 4096)]
    assert [one["connections"] for one in json.loads(render(items))["runs"]] == [64, 512, 4096]
    assert json.loads(render([])) == {"schema": 1, "runs": []}


def test_findings_stay_ranked() -> None:
    names = ("b", "a", "c")
    item = analyzed(make_run(), [make_finding(name) for name in names])
    (one,) = document([item])["runs"]
    assert [finding["id"] for finding in one["findings"]] == list(names)


def test_a_finding_is_written_whole() -> None:
    rows = (
        Evidence("ratio", 1.5, "ratio", 0.6, "samples.jsonl"),
        Evidence("log", "line", "", None, "server.log"),
    )
    finding = make_finding("low_cpu", Verdict.FOUND, evidence=rows, confidence=0.9)
    (one,) = json.loads(render([analyzed(make_run(), [finding])]))["runs"]
    assert one["findings"] == [
        {
            "id": "low_cpu",
            "kind": "cause",
            "verdict": "found",
            "confidence": 0.9,
            "claim": "what low_cpu says",
            "evidence": [
                {
                    "metric": "ratio",
                    "value": 1.5,
                    "unit": "ratio",
                    "threshold": 0.6,
                    "source": "samples.jsonl",
                },
                {
                    "metric": "log",
                    "value": "line",
                    "unit": "",
                    "threshold": None,
                    "source": "server.log",
                },
            ],
            "next_step": "start one worker per core",
        }
    ]


@pytest.mark.parametrize("text", [MARKUP, ESCAPES, '"\\\n\u2028', "é€"])
def test_any_text_survives(text: str) -> None:
    written = render([everywhere(text)])
    (one,) = json.loads(written)["runs"]
    assert one["findings"][0]["claim"] == f"found {text}"
    assert one["name"] == f"name {text}"
    assert "\x1b" not in written
