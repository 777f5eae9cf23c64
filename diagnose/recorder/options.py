"""What a run is asked for, and how it tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from diagnose.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to run and how; None means the default that the scenario or the host gives.

    command is empty when `attach_pid` names a server that runs already. memory_limit in bytes.
    probes: ask single requests before the load.
    profile_s: seconds of the profiled window; idle_s, cooldown_s: without load, before and after.
    driver: the name of an external load generator, '' for the embedded engine.
    invocation: the arguments of the command line, for the report to repeat.
    """

    scenario: Scenario
    connections: int
    command: tuple[str, ...] = ()
    attach_pid: int | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    name: str = ""
    output: Path = Path("runs")
    server_cpus: tuple[int, ...] | None = None
    load_cpus: tuple[int, ...] | None = None
    load_workers: int | None = None
    memory_limit: int | None = None
    deadline_s: float | None = None
    ready_timeout_s: float = 30.0
    profile: str = "auto"
    profile_s: float = 3.0
    idle_s: float = 1.0
    cooldown_s: float = 2.0
    probes: bool = True
    driver: str = ""
    sample_rate_hz: float = 20.0
    environment: dict[str, str] = field(default_factory=dict)
    invocation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Live:
    """How the run stands, some times a second. Rates are per second over the last moments."""

    phase: str
    phase_s: float
    rps: float
    failures: int
    in_flight: int
    cpu_cores: float
    rss: int
    bytes_sent_rate: float


class Observer(Protocol):
    """Who watches a run; the command line prints, a test collects."""

    def phase(self, name: str) -> None:
        """A phase begins."""

    def phase_done(self, name: str, seconds: float, said: str) -> None:
        """A phase is over; `said` holds its figures."""

    def live(self, live: Live) -> None:
        """The figures of the moment."""

    def note(self, text: str) -> None:
        """Something the user should know."""
