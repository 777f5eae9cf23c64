"""All checks of the contract, and which of them a scenario is about."""

from __future__ import annotations

from collections.abc import Sequence

from diagnose.load.validation import (
    baseline,
    compression,
    database,
    echo_ws,
    http2,
    json_items,
    noisy,
    pipelined,
    static,
    upload,
)
from diagnose.load.validation.check import Check
from diagnose.model.scenario import RequestTemplate

ALL = "all"
MARCH, APRIL = "2026-03", "2026-04"
# Groups of one round only; all others belong to both.
ROUND_OF = {
    **dict.fromkeys(("json@2026-03", "compression", "db", "noisy"), MARCH),
    **dict.fromkeys(("json@2026-04", "json-comp", "json-tls", "json-h2c"), APRIL),
    **dict.fromkeys(("static", "async-db"), APRIL),
}
_API = ("baseline", "json@2026-04", "async-db")
# Scenario, with its round where that makes a difference -> groups of checks.
GROUPS_OF = {
    "baseline": ("baseline",),
    "limited-conn": ("baseline",),
    "pipelined": ("pipelined",),
    "json@2026-03": ("json@2026-03",),
    "json@2026-04": ("json@2026-04",),
    "json-comp": ("json-comp",),
    "json-tls": ("json-tls",),
    "json-h2c": ("json-h2c",),
    "compression": ("compression",),
    "upload": ("upload",),
    "upload-20mb": ("upload",),
    "noisy": ("baseline", "noisy"),
    "mixed": ("baseline", "json@2026-03", "db", "upload", "compression"),
    "api-4": _API,
    "api-16": _API,
    "static": ("static",),
    "db": ("db",),
    "async-db": ("async-db",),
    "echo-ws": ("echo-ws",),
    "baseline-h2": ("baseline-h2",),
}


def contract_checks(files: Sequence[RequestTemplate], round_name: str = "") -> tuple[Check, ...]:
    """The checks of the whole contract, or of one round. files: what `/static` serves."""
    checks = (
        *baseline.CHECKS,
        *pipelined.CHECKS,
        *noisy.CHECKS,
        *json_items.CHECKS,
        *compression.CHECKS,
        *upload.CHECKS,
        *database.CHECKS,
        *static.checks(files),
        *echo_ws.CHECKS,
        *http2.CHECKS,
    )
    return tuple(
        check
        for check in checks
        if not round_name or ROUND_OF.get(check.group) in (None, round_name)
    )


def groups_of(scenario: str) -> tuple[str, ...] | None:
    """The groups of checks that a scenario of the package is about; None for any other."""
    return GROUPS_OF.get(scenario) or GROUPS_OF.get(scenario.partition("@")[0])
