"""All checks, from facts alone."""

from __future__ import annotations

from collections.abc import Iterable

from diagnose.server.doctor import cores, memory, network, rights
from diagnose.server.doctor.check import Check, Outcome
from diagnose.server.doctor.facts import Facts

CHECKS = (*cores.CHECKS, *memory.CHECKS, *network.CHECKS, *rights.CHECKS)


def judge(facts: Facts) -> tuple[Check, ...]:
    """What each fact does to a measurement, in the order of the subjects."""
    return tuple(check(facts) for check in CHECKS)


def spoiled(checks: Iterable[Check]) -> bool:
    """Whether a measurement here would say little about the server."""
    return any(check.outcome is Outcome.BAD for check in checks)
