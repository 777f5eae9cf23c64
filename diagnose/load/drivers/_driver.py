"""What a driver is, and what every driver gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from diagnose.errors import WorkerFailed
from diagnose.model.load import FailureExample, Latency
from diagnose.model.scenario import Scenario
from diagnose.plain import printable

# A driver that writes a line for each request writes it to this file of the scratch directory.
LOG_NAME = "requests.log"
SHOWN_LINES = 6
SHOWN_COLUMNS = 200


class DriverOutputError(WorkerFailed):
    """A driver's output is not the report that it prints after a measurement."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a driver can run a scenario.

    refusal: why the scenario would lose its meaning, after "DRIVER cannot send SCENARIO: "; '' when
    it can be run. caveats: what is done
    otherwise than the scenario wants.
    """

    refusal: str = ""
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DriverReport:
    """What a driver printed, as numbers; None is what it does not tell.

    status: responses by class, `2xx` to `5xx`; a driver that does not tell some apart has one
    entry for both, `4xx/5xx`. errors: requests that got no response, by Failure value.
    latency: percentiles count only when `latency.samples` is not 0. histogram: as in LoadResult.
    reconnects: connections opened after the first ones. protocol: what was negotiated, '' when it
    is not told. latency_samples: responses whose latency was measured. warmup_s: the measured
    window began so long after the start.
    """

    responses: int
    duration_s: float
    status: dict[str, int]
    latency: Latency = field(default_factory=Latency)
    errors: dict[str, int] = field(default_factory=dict)
    bytes_received: int | None = None
    reconnects: int | None = None
    latency_samples: int | None = None
    histogram: dict[int, int] = field(default_factory=dict)
    examples: tuple[FailureExample, ...] = ()
    protocol: str = ""
    warmup_s: float = 0.0
    caveats: tuple[str, ...] = ()


class Driver(Protocol):
    """A load generator that is somebody else's program. A module is one when it has these.

    PROGRAM: its name on PATH. INSTALL: what to do when it is missing.
    """

    PROGRAM: str
    INSTALL: str

    def judge(self, scenario: Scenario, connections: int) -> Judgement:
        """Whether it can run the scenario. Pure."""

    def command(
        self,
        scenario: Scenario,
        connections: int,
        duration_s: float,
        host: str,
        port: int,
        scratch: Path,
        threads: int,
    ) -> list[str]:
        """The arguments of the program; what it reads is written to the directory `scratch`."""

    def parse(self, text: str, log: str = "") -> DriverReport:
        """Its report. Pure. text: standard output and error; log: the file LOG_NAME of scratch.

        Raises: DriverOutputError.
        """


def unreadable(program: str, text: str) -> DriverOutputError:
    """The error for output that is no report, with its first lines."""
    lines = [line[:SHOWN_COLUMNS] for line in printable(text).splitlines() if line.strip()]
    shown = "\n".join(f"  {line}" for line in lines[:SHOWN_LINES]) or "  (nothing)"
    return DriverOutputError(
        f"{program} gave no report that can be read. It said:\n{shown}\n"
        f"Likely it could not connect, or is of a version with another report; try `{program} "
        "--help`, or run without --driver."
    )


def url(scenario: Scenario, host: str, port: int, target: str = "/") -> str:
    """The URL of a target on the server."""
    return f"{'https' if scenario.tls else 'http'}://{authority(host, port)}{target}"


def authority(host: str, port: int) -> str:
    """`host:port`, with the brackets of an IPv6 address. Source: RFC 3986, 3.2.2."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def even_threads(connections: int, threads: int) -> int:
    """The most threads that share the connections evenly.

    wrk gives each thread `connections / threads` of them and drops the rest.
    """
    return next(
        count
        for count in range(max(1, min(threads, connections)), 0, -1)
        if not connections % count
    )


def whole_seconds(duration_s: float) -> int:
    """For programs that take no fractions: the nearest, at least one."""
    return max(1, round(duration_s))
