"""What would spoil a measurement on this host: facts are gathered first, then judged."""

from __future__ import annotations

from diagnose.server.doctor.check import Check, Outcome
from diagnose.server.doctor.facts import Facts
from diagnose.server.doctor.gather import WATCH_S, gather
from diagnose.server.doctor.judge import judge, spoiled

__all__ = ["WATCH_S", "Check", "Facts", "Outcome", "gather", "judge", "spoiled"]
