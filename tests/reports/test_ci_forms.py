"""JUnit XML and annotations, also of text that would break them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from diagnose.analysis.gates import Gate
from diagnose.model.finding import Kind, Verdict
from diagnose.reports import github, junit
from tests.builders import make_finding, make_launch, make_run
from tests.reports.screens import analyzed

HOSTILE = 'a <b> & "c" ::error::x\r\n%0A\x00\x1b[31m \ud800 end'
ITEM = analyzed(
    make_run(launch=make_launch(name=HOSTILE)),
    (
        make_finding("client_saturated", kind=Kind.VALIDITY),
        make_finding("single_threaded", claim=HOSTILE, next_step=HOSTILE),
        make_finding("gil_bound", Verdict.UNKNOWN),
        make_finding("memory_leak", Verdict.CLEAR),
    ),
)
GATES = [[Gate("min-rps-ratio", False, HOSTILE), Gate("budget-memory", True, "1 of 2")]]


def test_junit_has_a_case_for_each_rule_and_gate() -> None:
    (suite,) = ET.fromstring(junit.render([ITEM], GATES))
    assert suite.attrib["tests"] == "6"
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("3", "1")
    cases = {case.attrib["name"]: [child.tag for child in case] for case in suite}
    assert cases == {
        "min-rps-ratio": ["failure"],
        "budget-memory": [],
        "client_saturated": ["failure"],
        "single_threaded": ["failure"],
        "gil_bound": ["skipped"],
        "memory_leak": [],
    }


def test_junit_of_no_run_is_well_formed() -> None:
    assert len(ET.fromstring(junit.render([]))) == 0


def test_annotations_are_a_line_each_and_only_ours() -> None:
    lines = github.render([ITEM], GATES).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error", "::notice", "::warning"]
    assert all(line.startswith("::") for line in lines)
    assert "%250A" in lines[0]
    title, _, _ = lines[0].removeprefix("::error title=").partition("::")
    assert title == "diagnose%3A min-rps-ratio"


def test_annotations_of_a_run_without_findings() -> None:
    assert github.render([analyzed(make_run(), ())]) == ""
