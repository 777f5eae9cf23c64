"""Runs as JUnit XML, the form in which build servers read test results.

A run is a test suite, a rule or a gate a test case: found, or not kept, is a failure; unknown is
skipped. Source: the JUnit XML format as Jenkins and GitLab document it (testsuites, testsuite,
testcase, failure, skipped).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from diagnose.analysis.gates import Gate
from diagnose.model.finding import Verdict
from diagnose.model.report import Analyzed
from diagnose.reports.phrases import evidence_line, setting

# XML 1.0 has no other control characters, escaped or not.
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(items: Sequence[Analyzed], gates: Sequence[Sequence[Gate]] = ()) -> str:
    """The document. gates: of each run, in the same order."""
    root = ET.Element("testsuites", name="diagnose")
    for number, item in enumerate(items):
        manifest = item.run.manifest
        kept = gates[number] if number < len(gates) else ()
        suite = ET.SubElement(root, "testsuite", name=_text(setting(item)))
        suite.set("timestamp", _text(manifest.created))
        failures = skipped = 0
        for gate in kept:
            case = _case(suite, "diagnose.gate", gate.name)
            if not gate.kept:
                failures += 1
                what = "not kept" if gate.kept is False else "could not be told"
                ET.SubElement(case, "failure", message=_text(f"{what}: {gate.said}"))
        for finding in item.findings:
            case = _case(suite, f"diagnose.{finding.kind.value}", finding.id)
            if finding.verdict is Verdict.FOUND:
                failures += 1
                failure = ET.SubElement(case, "failure", message=_text(finding.claim))
                failure.text = _text(f"{evidence_line(finding)}\n{finding.next_step}")
            elif finding.verdict is Verdict.UNKNOWN:
                skipped += 1
                ET.SubElement(case, "skipped", message=_text(finding.claim))
        suite.set("tests", str(len(item.findings) + len(kept)))
        suite.set("failures", str(failures))
        suite.set("skipped", str(skipped))
        suite.set("errors", "0")
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, group: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=group, name=_text(name))


def _text(text: str) -> str:
    """Text of a server as XML can hold it."""
    return _NOT_XML.sub("\ufffd", text)
