"""wrk: HTTP/1.1, any request, rotation and pipelining by a Lua script.

Its latency is not comparable with that of other generators: the clock of a request starts when its
connection is next found writable, which leaves wrk's own queueing out. To what it measured wrk adds
a latency for each request that it thinks a slow response kept it from sending; the script takes
these back (with pipelining they were so many that wrk's own 99th percentile was 0). A request that
is never answered is not counted. Output captured from wrk 4.1.0.

Source: wrk(1); SCRIPTING in the wrk distribution.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from diagnose.load.drivers import _judging
from diagnose.load.drivers._driver import (
    DriverReport,
    Judgement,
    authority,
    even_threads,
    unreadable,
    url,
    whole_seconds,
)
from diagnose.load.drivers._judging import Abilities
from diagnose.load.drivers._quantities import COUNT, SIZE, TIME, seconds, size
from diagnose.load.drivers._sent import Rotation, drawn_wires, has_values, sent, write
from diagnose.load.histogram import Histogram
from diagnose.model.load import Failure, Latency
from diagnose.model.scenario import INLINE_BODY, Scenario

PROGRAM = "wrk"
INSTALL = "install the package wrk (Debian, Ubuntu, Homebrew)"
SCRIPT = Path(__file__).with_name("_wrk.lua")
ABILITIES = Abilities(
    PROGRAM,
    Rotation.EVERYTHING,
    pipelining=True,
    pipelined_bodies=True,
    raw=True,
    copies=True,
    caveats=(
        "latency leaves wrk's own queueing out: it is not comparable, and connections = rate x "
        "mean latency does not hold at high rates",
        "a request that is never answered is not counted",
        "3xx responses are counted as 2xx",
    ),
)

_COUNTS = re.compile(rf"^\s*({COUNT}) requests in ({TIME}), ({SIZE}) read$", re.MULTILINE)
# The line after the counts and the errors: without it, errors may have been cut off.
_LAST = re.compile(r"^Requests/sec:\s+[\d.]+$", re.MULTILINE)
_ERRORS = re.compile(
    rf"^\s*Socket errors: connect ({COUNT}), read ({COUNT}), write ({COUNT}), timeout ({COUNT})$",
    re.MULTILINE,
)
_STATUS = re.compile(rf"^\s*Non-2xx or 3xx responses: ({COUNT})$", re.MULTILINE)
_SUMMARY = re.compile(rf"^\s*Latency\s+({TIME})\s+{TIME}\s+({TIME})\s", re.MULTILINE)
_PERCENTILE = re.compile(rf"^\s*(50|90|99)%\s+({TIME})$", re.MULTILINE)
_LATENCIES = re.compile(r"^latencies: ((?:\d{1,6}:\d{1,12} )+)end$", re.MULTILINE)
_EXACT = re.compile(r"^exact: ((?:\w+=\S+ )+)end$", re.MULTILINE)
_TIMES = ("mean", "p50", "p90", "p99", "p999", "max")


def judge(scenario: Scenario, connections: int) -> Judgement:
    """Whether wrk can run the scenario."""
    judgement = _judging.judge(ABILITIES, scenario, connections)
    if judgement.refusal:
        return judgement
    caveats = list(judgement.caveats)
    if len(set(scenario.templates)) > 1:
        caveats.append("requests rotate over each thread, not over each connection's renewals")
    if any(has_values(template) for template in scenario.templates):
        caveats.append("values are drawn before the run, not for each connection")
    if scenario.pipeline > 1:
        caveats.append(
            f"pipelines {scenario.pipeline} requests at a time and waits for all of their "
            "responses; latency is that of the whole batch"
        )
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
    """Write each request to a file `0`, `1`, ... of scratch; the arguments of wrk.

    The duration is rounded to whole seconds.
    """
    name = authority(host, port)
    count = 0
    for template in sent(scenario, Rotation.EVERYTHING):
        for pieces in drawn_wires(template, name):
            write(scratch / str(count), pieces)
            count += 1
    workers = even_threads(connections, threads)
    # wrk's limit is on the whole response time. For small requests that is about the time without
    # a byte that the scenario limits; a long body moves all the time, and may take the whole run.
    limit = scenario.timeout_s
    if any(template.payload_length > INLINE_BODY for template in scenario.templates):
        limit = max(limit, duration_s)
    return [
        *(PROGRAM, "--connections", str(connections), "--threads", str(workers)),
        *("--duration", f"{whole_seconds(duration_s)}s", "--timeout", f"{math.ceil(limit)}s"),
        *("--latency", "--script", str(SCRIPT), url(scenario, host, port), "--"),
        *(str(scratch), str(count), str(scenario.pipeline), str(workers), str(connections)),
    ]


def parse(text: str, log: str = "") -> DriverReport:
    """wrk's text; times and sizes from the script's own line where that is there.

    Raises: DriverOutputError.
    """
    del log
    counts = _COUNTS.search(text)
    if counts is None or _LAST.search(text) is None:
        raise unreadable(PROGRAM, text)
    responses = int(counts[1])
    bad = int(match[1]) if (match := _STATUS.search(text)) else 0
    errors: dict[str, int] = {}
    late = 0
    if match := _ERRORS.search(text):
        connect, read, write_, late = (int(number) for number in match.groups())
        kinds = {
            Failure.CONNECT_ERROR.value: connect,
            Failure.CLOSED_WAITING.value: read,
            Failure.RESET_SENDING.value: write_,
            Failure.TIMEOUT.value: late,
        }
        errors = {kind: count for kind, count in kinds.items() if count}
    exact = _exact(text)
    histogram = _measured(text, exact, responses, late)
    caveats: tuple[str, ...] = ()
    if histogram.samples:
        latency = histogram.latency()
    else:
        latency = _with_additions(text, exact, max(0, responses - late))
        if latency.samples:
            caveats = ("latency has values that wrk adds without having measured them",)
    return DriverReport(
        responses=responses,
        duration_s=exact["duration"] / 1e6 if exact else seconds(counts[2]),
        status={
            name: count for name, count in (("2xx", responses - bad), ("4xx/5xx", bad)) if count > 0
        },
        latency=latency,
        errors=errors,
        bytes_received=round(exact["bytes"]) if exact else size(counts[3]),
        latency_samples=latency.samples,
        histogram=histogram.counts(),
        caveats=caveats,
    )


def _measured(text: str, exact: dict[str, float], responses: int, late: int) -> Histogram:
    """The latencies that were measured, one for each batch; empty when their number is not right.

    A batch that was under way at the end has responses and no latency.
    """
    match = _LATENCIES.search(text)
    if match is None or not exact:
        return Histogram()
    pairs = (word.split(":") for word in match[1].split())
    counts = {int(bucket): int(count) for bucket, count in pairs}
    depth = max(1, round(exact["depth"]))
    most = responses // depth - (late if depth == 1 else 0)
    least = most if depth == 1 else most - late - round(exact["connections"])
    if not least <= sum(counts.values()) <= most:
        return Histogram()
    try:
        return Histogram(counts)
    except IndexError:  # No latency is that long.
        return Histogram()


def _with_additions(text: str, exact: dict[str, float], samples: int) -> Latency:
    """The latency as wrk itself tells it; with pipelining its additions leave nothing of use."""
    if not exact:
        return _printed_latency(text, samples)
    return _exact_latency(exact, samples) if exact["depth"] == 1 else Latency()


def _exact(text: str) -> dict[str, float]:
    """The numbers of the script's line by name; nothing when one is missing or is no number."""
    match = _EXACT.search(text)
    if match is None:
        return {}
    try:
        found = {
            name: float(value)
            for name, _, value in (word.partition("=") for word in match[1].split())
        }
    except ValueError:
        return {}
    counts = [found.get(name, math.nan) for name in ("depth", "connections", "duration", "bytes")]
    return found if set(_TIMES) <= found.keys() and all(map(math.isfinite, counts)) else {}


def _exact_latency(exact: dict[str, float], samples: int) -> Latency:
    times = [exact[name] / 1e6 for name in _TIMES]
    # wrk's mean of no responses is not a number; a percentile of 0 is one that it did not find.
    if samples == 0 or not all(math.isfinite(time) and time > 0 for time in times):
        return Latency()
    return Latency(samples, *times)


def _printed_latency(text: str, samples: int) -> Latency:
    """From the rounded text; the 99.9th percentile is not in it and stays 0."""
    summary = _SUMMARY.search(text)
    found = {int(percent): seconds(time) for percent, time in _PERCENTILE.findall(text)}
    if summary is None or samples == 0 or not all(found.get(p) for p in (50, 90, 99)):
        return Latency()
    return Latency(
        samples=samples,
        mean_s=seconds(summary[1]),
        p50_s=found[50],
        p90_s=found[90],
        p99_s=found[99],
        max_s=seconds(summary[2]),
    )
