"""Runs as annotations of GitHub Actions: a line on standard output each.

Source: GitHub Docs, Workflow commands for GitHub Actions: `::error title=...::message`; percent,
carriage return and line feed are escaped, in properties colon and comma too.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnose.analysis.gates import Gate
from diagnose.model.finding import Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.plain import printable
from diagnose.reports.phrases import setting


def render(items: Sequence[Analyzed], gates: Sequence[Sequence[Gate]] = ()) -> str:
    """A line for each gate that was not kept (an error), each cause and symptom that was found (a
    warning) and each reason to doubt the measurement (a notice). gates: of each run, in order."""
    lines = []
    for number, item in enumerate(items):
        where = setting(item)
        lines += [
            _line("error", f"diagnose: {gate.name}", f"{gate.said} ({where})")
            for gate in (gates[number] if number < len(gates) else ())
            if not gate.kept
        ]
        for finding in item.findings:
            if finding.verdict is not Verdict.FOUND:
                continue
            level = "notice" if finding.kind is Kind.VALIDITY else "warning"
            step = f" Next: {finding.next_step}" if finding.next_step else ""
            title = f"diagnose: {finding.id}"
            lines.append(_line(level, title, f"{finding.claim} ({where}).{step}"))
    return "\n".join(lines)


def _line(level: str, title: str, message: str) -> str:
    title = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={title}::{_escaped(message)}"


def _escaped(text: str) -> str:
    shown = printable(text)
    return shown.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
