"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from diagnose.model.finding import Finding
from diagnose.model.run import Run


@dataclass(frozen=True, slots=True)
class Analyzed:
    """A run with its figures by name (None: not measured) and its ranked findings."""

    run: Run
    figures: Mapping[str, float | int | None]
    findings: tuple[Finding, ...]
