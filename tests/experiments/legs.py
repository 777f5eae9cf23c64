"""Runs of legs as experiments see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diagnose.model.experiment import Judged, Seen
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from tests.builders import make_finding, make_host, make_load, make_run

SHARED = make_host(2, mode="shared")
SECONDS = 5.0


def leg(
    rps: float = 1000.0,
    *,
    cores: float = 1.0,
    load_cores: float = 0.4,
    p50_s: float = 0.01,
    evidence: Mapping[str, Mapping[str, float]] | None = None,
    client_limited: bool = False,
    samples: Any = None,
    **load: Any,
) -> Analyzed:
    """A run of a leg. evidence: figures by rule."""
    count = round(rps * SECONDS)
    run = make_run(
        load=make_load(**{"ok": count, "responses": count, **load}), host=SHARED, samples=samples
    )
    findings = [
        make_finding(
            rule,
            Verdict.UNKNOWN,
            evidence=tuple(
                Evidence(name, value, "", None, "load.json") for name, value in rows.items()
            ),
        )
        for rule, rows in (evidence or {}).items()
    ]
    if client_limited:
        findings.append(make_finding("client_saturated", kind=Kind.VALIDITY))
    figures = {"cpu_cores": cores, "load_cores": load_cores, "p50_s": p50_s}
    return Analyzed(run, figures, tuple(findings))


def seen(**legs: list[Analyzed]) -> Seen:
    """Runs by label; blanks of labels are written as underscores."""
    return {label.replace("_", " "): runs for label, runs in legs.items()}


def judged(module: Any, runs: Seen, suspect: str, base: Run | None = None) -> Judged:
    """What an experiment says of a suspect that the first run found."""
    finding: Finding = make_finding(suspect)
    said: Judged = module.judge(base or make_run(host=SHARED), runs, finding)
    assert said.seen
    return said
