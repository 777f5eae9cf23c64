"""gcannon: the benchmark's own generator, HTTP/1.1 from raw request templates.

Written from documentation: command line and report are those of the benchmark's contract, gcannon
itself was not run with this driver. Its report has no maximum latency, and bandwidth only rounded.

Source: the HttpArena benchmark, its load generator's options and report.
"""

from __future__ import annotations

import re
from pathlib import Path

from diagnose.load.drivers import _judging
from diagnose.load.drivers._driver import (
    DriverReport,
    Judgement,
    authority,
    unreadable,
    url,
    whole_seconds,
)
from diagnose.load.drivers._judging import Abilities, Closing
from diagnose.load.drivers._quantities import COUNT, TIME, seconds
from diagnose.load.drivers._sent import Rotation, sent, wire, write
from diagnose.load.requests import prepare
from diagnose.model.load import Failure, Latency
from diagnose.model.scenario import Scenario

PROGRAM = "gcannon"
INSTALL = (
    "build it from source: the repository gcannon of MDA2AV, the author of the HttpArena benchmark"
)
ABILITIES = Abilities(
    PROGRAM,
    Rotation.EVERYTHING,
    closing=Closing.ANY,
    tls=False,
    pipelining=True,
    pipelined_bodies=True,
    raw=True,
    broken=True,
    head=True,
    ran=False,
    caveats=(
        "a connection that the server ends counts as a reconnect and not as an error",
        "a hung request shows only as requests minus responses",
    ),
)

_COUNTS = re.compile(rf"^\s*({COUNT}) requests in ({TIME}), ({COUNT}) responses$", re.MULTILINE)
_STATUS = re.compile(
    rf"^\s*Status codes: 2xx=({COUNT}), 3xx=({COUNT}), 4xx=({COUNT}), 5xx=({COUNT})$", re.MULTILINE
)
_LATENCY = re.compile(rf"^\s*Latency((?:\s+{TIME}){{5}})\s*$", re.MULTILINE)
_SAMPLES = re.compile(rf"^\s*Latency samples: ({COUNT}) / {COUNT} responses", re.MULTILINE)
_RECONNECTS = re.compile(rf"^\s*Reconnects: ({COUNT})$", re.MULTILINE)
_ERRORS = re.compile(
    rf"^\s*Errors: connect ({COUNT}), read ({COUNT}), timeout ({COUNT})$", re.MULTILINE
)


def judge(scenario: Scenario, connections: int) -> Judgement:
    """Whether gcannon can run the scenario."""
    return _judging.judge(ABILITIES, scenario, connections)


def command(
    scenario: Scenario,
    connections: int,
    duration_s: float,
    host: str,
    port: int,
    scratch: Path,
    threads: int,
) -> list[str]:
    """Write each request to a raw template in scratch; the arguments of gcannon.

    A template that stands several times in the rotation is written so often. Values stay in it:
    gcannon draws them. The duration is rounded to whole seconds.
    """
    name = authority(host, port)
    files = [
        str(write(scratch / f"{index}.raw", wire(prepare(template, name))))
        for index, template in enumerate(sent(scenario, Rotation.EVERYTHING))
    ]
    arguments = [
        *(PROGRAM, url(scenario, host, port), "-c", str(connections)),
        *("-t", str(min(threads, connections)), "-d", f"{whole_seconds(duration_s)}s"),
        *("-p", str(scenario.pipeline)),
    ]
    if scenario.requests_per_connection:
        arguments += ["-r", str(scenario.requests_per_connection)]
    return [*arguments, "--raw", ",".join(files)]


def parse(text: str, log: str = "") -> DriverReport:
    """gcannon's text.

    Raises: DriverOutputError.
    """
    del log
    counts, status = _COUNTS.search(text), _STATUS.search(text)
    if counts is None or status is None:
        raise unreadable(PROGRAM, text)
    classes = zip(("2xx", "3xx", "4xx", "5xx"), map(int, status.groups()), strict=True)
    samples = _SAMPLES.search(text)
    times = _LATENCY.search(text)
    latency = Latency()
    if samples and times and int(samples[1]):
        latency = Latency(int(samples[1]), *(seconds(word) for word in times[1].split()))
    errors: dict[str, int] = {}
    if match := _ERRORS.search(text):
        connect, read, timeout = map(int, match.groups())
        kinds = {
            Failure.CONNECT_ERROR.value: connect,
            Failure.CLOSED_WAITING.value: read,
            Failure.TIMEOUT.value: timeout,
        }
        errors = {kind: count for kind, count in kinds.items() if count}
    reconnects = _RECONNECTS.search(text)
    return DriverReport(
        responses=int(counts[3]),
        duration_s=seconds(counts[2]),
        status={name: count for name, count in classes if count},
        latency=latency,
        errors=errors,
        reconnects=int(reconnects[1]) if reconnects else None,
        latency_samples=int(samples[1]) if samples else None,
    )
