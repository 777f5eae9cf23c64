"""oha: HTTP/1.1 and HTTP/2, one request again and again, closed or open loop.

Written from documentation: command line and JSON are those of oha's README, oha itself was not run
with this driver. Needs a version that knows `--output-format`.

Source: the README of oha, by Hiroki Noda (hatoo).
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated

import msgspec

from diagnose.load.drivers import _judging
from diagnose.load.drivers._driver import (
    SHOWN_COLUMNS,
    DriverReport,
    Judgement,
    unreadable,
    url,
)
from diagnose.load.drivers._judging import Abilities, Closing
from diagnose.load.drivers._sent import Rotation, body, sent, write
from diagnose.model.load import Failure, FailureExample, Latency
from diagnose.model.scenario import Protocol, Scenario
from diagnose.plain import printable

PROGRAM = "oha"
INSTALL = "build it from source: the Rust crate oha (`cargo install oha`), repository hatoo/oha"
ABILITIES = Abilities(
    PROGRAM,
    Rotation.NOTHING,
    closing=Closing.EACH,
    protocols=(Protocol.HTTP, Protocol.H2),
    open_loop=True,
    head=True,
    ran=False,
    caveats=(
        "oha chooses the number of its threads itself",
        "requests in flight when the time is over are left out",
    ),
)
# Words of oha's error texts -> the kind of failure; the first that fits. Source: the messages of
# hyper and of the operating system, which oha passes on.
_KINDS = (
    ("refused", Failure.REFUSED),
    ("timeout", Failure.TIMEOUT),
    ("timed out", Failure.TIMEOUT),
    ("reset", Failure.RESET_WAITING),
    ("incomplete", Failure.CLOSED_RECEIVING),
    ("before message completed", Failure.CLOSED_WAITING),
    ("closed", Failure.CLOSED_WAITING),
    ("connect", Failure.CONNECT_ERROR),
    ("invalid", Failure.BAD_FRAMING),
    ("parse", Failure.BAD_FRAMING),
)
# These were in flight when the time was over: no failure.
_ABORTED = "aborted due to deadline"


_Count = Annotated[int, msgspec.Meta(ge=0)]
_STATUS = re.compile(r"[1-5][0-9]{2}")


class _Summary(msgspec.Struct, frozen=True, rename="camel"):
    total: Annotated[float, msgspec.Meta(ge=0)]
    slowest: float | None = None
    average: float | None = None
    total_data: _Count | None = None


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    summary: _Summary
    status_code_distribution: dict[str, _Count]
    error_distribution: dict[str, _Count]
    latency_percentiles: dict[str, float | None] = {}


def judge(scenario: Scenario, connections: int) -> Judgement:
    """Whether oha can run the scenario."""
    judgement = _judging.judge(ABILITIES, scenario, connections)
    if judgement.refusal:
        return judgement
    caveats = list(judgement.caveats)
    if scenario.requests_per_connection:
        caveats.append("asks for the end with `Connection: close`: it is the server that closes")
    if scenario.templates[0].chunked and scenario.protocol is Protocol.HTTP:
        caveats.append("request bodies go out with Content-Length, not chunked")
    return Judgement(caveats=tuple(caveats))


def command(
    scenario: Scenario,
    connections: int,
    duration_s: float,
    host: str,
    port: int,
    scratch: Path,
    threads: int,
) -> list[str]:
    """Write the body, when there is one, to scratch; the arguments of oha. It takes no threads."""
    del threads
    (template,) = sent(scenario, Rotation.NOTHING)
    arguments = [
        *(PROGRAM, "--no-tui", "--output-format", "json"),
        *("-z", f"{round(duration_s * 1000)}ms", "-c", str(connections)),
        # A redirect or a compressed answer that nobody asked for would be another scenario.
        *("--redirect", "0", "--disable-compression"),
        *("-t", f"{math.ceil(scenario.timeout_s)}s", "-m", template.method),
    ]
    if scenario.protocol is Protocol.H2:
        arguments += ["--http2", "-p", str(scenario.pipeline)]
    if scenario.tls:
        arguments.append("--insecure")
    if scenario.requests_per_connection:
        arguments.append("--disable-keepalive")
    if scenario.rate:
        arguments += ["-q", f"{scenario.rate:g}", "--latency-correction"]
    if template.payload_length:
        arguments += ["-D", str(write(scratch / "body", body(template)))]
    for name, value in template.headers:
        if name.lower() == "host":
            arguments += ["--host", value]
        elif name.lower() not in ("content-length", "transfer-encoding"):
            arguments += ["-H", f"{name}: {value}"]
    return [*arguments, url(scenario, host, port, template.target)]


def parse(text: str, log: str = "") -> DriverReport:
    """oha's JSON; words before and after it (its standard error) are passed over.

    Raises: DriverOutputError.
    """
    del log
    try:
        document = msgspec.json.decode(text[text.find("{") : text.rfind("}") + 1], type=_Document)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise unreadable(PROGRAM, text) from error
    status: dict[str, int] = {}
    for code, count in document.status_code_distribution.items():
        if not _STATUS.fullmatch(code):
            raise unreadable(PROGRAM, text)
        name = f"{code[0]}xx"
        status[name] = status.get(name, 0) + count
    errors: dict[str, int] = {}
    examples: dict[str, FailureExample] = {}
    for said, count in document.error_distribution.items():
        if said.lower() == _ABORTED:
            continue
        kind = _kind(said)
        errors[kind] = errors.get(kind, 0) + count
        examples.setdefault(kind, FailureExample(kind, "", printable(said)[:SHOWN_COLUMNS]))
    responses = sum(status.values())
    latency = _latency(document, responses)
    return DriverReport(
        responses=responses,
        duration_s=document.summary.total,
        status=status,
        latency=latency,
        errors=errors,
        bytes_received=document.summary.total_data,
        examples=tuple(examples.values()),
        latency_samples=latency.samples or None,
    )


def _kind(said: str) -> str:
    """The kind of failure that an error text tells; what it does not tell ends a connection."""
    lower = said.lower()
    return next((kind for word, kind in _KINDS if word in lower), Failure.CLOSED_WAITING).value


def _latency(document: _Document, responses: int) -> Latency:
    names = ("p50", "p90", "p99", "p99.9")
    percentiles = [document.latency_percentiles.get(name) for name in names]
    times = [document.summary.average, *percentiles, document.summary.slowest]
    known = [time for time in times if time is not None]
    if not responses or len(known) < len(times):
        return Latency()
    return Latency(responses, *known)
