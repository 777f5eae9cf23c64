"""The stable form for other programs: schema 1 (docs/json.md)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

import msgspec

from diagnose.analysis.repeats import Repeats, repeats
from diagnose.model.finding import Finding
from diagnose.model.report import Analyzed
from diagnose.reports import profiled

SCHEMA = 1


def document(runs: Sequence[Analyzed]) -> dict[str, Any]:
    """One element a run, findings ranked; `repeats` where there are several of the same thing."""
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "runs": [
            {
                "run": item.run.directory,
                "scenario": item.run.manifest.scenario.name,
                "connections": item.run.manifest.connections,
                "name": item.run.manifest.launch.name,
                "state": item.run.manifest.state,
                "figures": dict(item.figures),
                "profiling": profiled.document(item.run),
                "findings": [_finding(finding) for finding in item.findings],
            }
            for item in runs
        ],
    }
    groups = [group for group in repeats(runs) if len(group.runs) > 1]
    if groups:
        told["repeats"] = [_repeats(group) for group in groups]
    return told


def _repeats(group: Repeats) -> dict[str, Any]:
    return {
        "scenario": group.scenario,
        "connections": group.connections,
        "runs": [item.run.directory for item in group.runs],
        "invalid": [item.run.directory for item in group.invalid],
        "best": group.best.run.directory,
        "best_rps": group.best_rps,
        "median_rps": group.median_rps,
        "lowest_rps": group.lowest_rps,
        "spread": group.spread,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    """`explained_by`: for symptoms that were found; `measured`: where a selftest is stored."""
    told = {
        "id": finding.id,
        "kind": finding.kind.value,
        "verdict": finding.verdict.value,
        "confidence": finding.confidence,
        "claim": finding.claim,
        "evidence": msgspec.to_builtins(finding.evidence),
        "next_step": finding.next_step,
    }
    if finding.measured:
        told["measured"] = finding.measured
    if finding.explained_by or finding.unexplained:
        told["explained_by"] = list(finding.explained_by)
    return told


def render(runs: Sequence[Analyzed]) -> str:
    """The document as text."""
    data: str = msgspec.json.format(msgspec.json.encode(document(runs)), indent=2).decode()
    return data


def schema() -> str:
    """The JSON Schema of the document."""
    return (resources.files("diagnose.reports") / "report.schema.json").read_text(encoding="utf-8")
