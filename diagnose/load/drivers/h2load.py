"""h2load: HTTP/2 by prior knowledge and over TLS, and HTTP/1.1 with pipelining.

Latencies are those of its log file, one line a request; its own table has no percentiles. A
connection that is refused, or dropped without `Connection: close`, is neither counted nor opened
again. Version 1.52 does not end by itself when the server announced the end of connections: its log
is then the report. Output captured from nghttp2 1.52.0.

Source: h2load(1).
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from diagnose.load.drivers import _judging
from diagnose.load.drivers._driver import (
    LOG_NAME,
    DriverReport,
    Judgement,
    unreadable,
    url,
)
from diagnose.load.drivers._judging import Abilities
from diagnose.load.drivers._quantities import COUNT, TIME, seconds
from diagnose.load.drivers._sent import Rotation, body, drawn_targets, has_values, sent, write
from diagnose.load.histogram import Histogram
from diagnose.model.load import Failure, Latency
from diagnose.model.scenario import Protocol, Scenario

PROGRAM = "h2load"
INSTALL = "install the package nghttp2-client (Debian, Ubuntu) or nghttp2 (Homebrew)"
ABILITIES = Abilities(
    PROGRAM,
    Rotation.TARGET,
    protocols=(Protocol.HTTP, Protocol.H2),
    pipelining=True,
    open_loop=True,
    warms_up=True,
    caveats=(
        "connections that are refused or dropped are not counted and not opened again",
        "a request that is never answered is not counted",
        "h2load adds a user-agent header and sends header names in lower case",
    ),
)

_PHASES = re.compile(
    rf"with ({TIME}) of warm-up time and ({TIME}) of main duration for measurements"
)
_MAIN_OVER = "Main benchmark duration is over"
_FINISHED = re.compile(rf"^finished in ({TIME}), ([\d.]+) req/s, ", re.MULTILINE)
_REQUESTS = re.compile(
    rf"^requests: {COUNT} total, {COUNT} started, ({COUNT}) done, {COUNT} succeeded, "
    rf"{COUNT} failed, ({COUNT}) errored, ({COUNT}) timeout$",
    re.MULTILINE,
)
_STATUS = re.compile(
    rf"^status codes: ({COUNT}) 2xx, ({COUNT}) 3xx, ({COUNT}) 4xx, ({COUNT}) 5xx$", re.MULTILINE
)
_TRAFFIC = re.compile(rf"^traffic: \S+ \(({COUNT})\) total, ", re.MULTILINE)
_TIMES = re.compile(
    rf"^time for request:\s+({TIME})\s+({TIME})\s+({TIME})\s+{TIME}\s+[\d.]+%$", re.MULTILINE
)
_PROTOCOL = re.compile(r"^Application protocol: (\S+)$", re.MULTILINE)
CLASSES = ("2xx", "3xx", "4xx", "5xx")


def judge(scenario: Scenario, connections: int) -> Judgement:
    """Whether h2load can run the scenario."""
    judgement = _judging.judge(ABILITIES, scenario, connections)
    if judgement.refusal:
        return judgement
    caveats = list(judgement.caveats)
    chosen = sent(scenario, Rotation.TARGET)
    if len(set(chosen)) > 1:
        caveats.append("requests rotate on each connection, not with its renewals")
    if any(has_values(template) for template in chosen):
        caveats.append("values are drawn before the run, not for each connection")
    if chosen[0].chunked and scenario.protocol is Protocol.HTTP:
        caveats.append("request bodies go out with Content-Length, not chunked")
    if scenario.rate:
        caveats.append("latency starts when a request is sent, not when it was due")
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
    """Write the URLs, and a body when there is one, to scratch; the arguments of h2load."""
    chosen = sent(scenario, Rotation.TARGET)
    first = chosen[0]
    targets = [target for template in chosen for target in drawn_targets(template)]
    urls = scratch / "urls"
    urls.write_text("".join(f"{url(scenario, host, port, target)}\n" for target in targets))
    arguments = [
        *(PROGRAM, "--clients", str(connections), "--threads", str(min(threads, connections))),
        *("--duration", _milliseconds(duration_s)),
        *("--warm-up-time", _milliseconds(scenario.warmup_s)),
        *("--max-concurrent-streams", str(scenario.pipeline)),
        *("--log-file", str(scratch / LOG_NAME), "--input-file", str(urls)),
        *(["--no-tls-proto", "h2c"] if scenario.protocol is Protocol.H2 else ["--h1"]),
    ]
    if scenario.rate:
        arguments += ["--rps", f"{scenario.rate / connections:.6g}"]
    posts = first.method in ("POST", "PUT", "PATCH")
    if first.payload_length:
        arguments += ["--data", str(write(scratch / "body", body(first)))]
    elif posts:
        arguments += ["--header", "content-length: 0"]
    if first.method != ("POST" if first.payload_length else "GET"):
        arguments += ["--header", f":method: {first.method}"]
    for name, value in first.headers:
        # h2load writes these two itself; Host is its :authority in both protocols.
        if name.lower() in ("content-length", "transfer-encoding"):
            continue
        arguments += ["--header", f"{':authority' if name.lower() == 'host' else name}: {value}"]
    return arguments


def _milliseconds(duration_s: float) -> str:
    return f"{round(duration_s * 1000)}ms"


def parse(text: str, log: str = "") -> DriverReport:
    """h2load's text, with latencies and statuses of its log where there is one.

    Raises: DriverOutputError.
    """
    rows = _rows(log)
    phases = _PHASES.search(text)
    warmup_s, main_s = (seconds(word) for word in phases.groups()) if phases else (0.0, 0.0)
    found = [pattern.search(text) for pattern in (_FINISHED, _REQUESTS, _STATUS, _TRAFFIC, _TIMES)]
    finished, requests, status, traffic, times = found
    protocol = match[1] if (match := _PROTOCOL.search(text)) else ""
    if not (finished and requests and status and traffic and times):
        if not len(rows):
            raise unreadable(PROGRAM, text)
        span_s = max(0, int((rows[:, 0] + rows[:, 2]).max()) - int(rows[:, 0].min())) / 1e6
        return _from_log(rows, main_s if _MAIN_OVER in text else span_s, warmup_s, protocol)
    done, errored, timeouts = (int(number) for number in requests.groups())
    responses = max(0, done - errored)
    latency = Latency(mean_s=seconds(times[3]), max_s=seconds(times[2]))
    histogram = _histogram(rows)
    if histogram.samples:
        latency = histogram.latency()
    counts = dict(zip(CLASSES, (int(number) for number in status.groups()), strict=True))
    # Answers that began in the warm-up are done in the window, and have no status in it.
    responses = min(responses, sum(counts.values()))
    kinds = {
        Failure.CLOSED_WAITING.value: max(0, errored - timeouts),
        Failure.TIMEOUT.value: timeouts,
    }
    return DriverReport(
        responses=responses,
        # `finished in` includes the warm-up.
        duration_s=main_s or seconds(finished[1]),
        status=_completed(_logged_status(rows) if len(rows) == responses else counts, responses),
        latency=latency,
        errors={kind: count for kind, count in kinds.items() if count},
        bytes_received=int(traffic[1]),
        histogram=histogram.counts(),
        protocol=protocol,
        warmup_s=warmup_s,
        latency_samples=latency.samples or None,
    )


def _from_log(
    rows: npt.NDArray[np.int64], duration_s: float, warmup_s: float, protocol: str
) -> DriverReport:
    histogram = _histogram(rows)
    failed = int((rows[:, 1] < 0).sum())
    return DriverReport(
        responses=len(rows) - failed,
        duration_s=duration_s,
        status=_logged_status(rows),
        latency=histogram.latency(),
        errors={Failure.CLOSED_WAITING.value: failed} if failed else {},
        histogram=histogram.counts(),
        protocol=protocol,
        warmup_s=warmup_s,
        latency_samples=histogram.samples,
        caveats=("h2load printed no report: all figures are those of its log",),
    )


def _rows(log: str) -> npt.NDArray[np.int64]:
    """Rows of (start in us since the epoch, status, us until the end); none when it cannot be read.

    Only the measured window is logged. A last line without its end was cut and is left out.
    Source: h2load(1): "start time as microseconds since epoch; HTTP status code; microseconds
    until end of response. More columns may be added later ... Status code is -1 for failed
    streams."
    """
    whole = log[: log.rfind("\n") + 1]
    nothing = np.zeros((0, 3), dtype=np.int64)
    columns = len(whole.partition("\n")[0].split("\t"))
    if not whole or columns < 3:
        return nothing
    with warnings.catch_warnings():
        # numpy warns where a word is no number; for us the whole log is then no log.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            numbers = np.fromstring(whole, dtype=np.int64, sep=" ")
        except (DeprecationWarning, ValueError):
            return nothing
    if len(numbers) != columns * whole.count("\n"):
        return nothing
    return numbers.reshape(-1, columns)[:, :3]


def _histogram(rows: npt.NDArray[np.int64]) -> Histogram:
    histogram = Histogram()
    if len(rows):
        histogram.record((rows[rows[:, 1] > 0, 2] / 1e6).tolist())
    return histogram


def _logged_status(rows: npt.NDArray[np.int64]) -> dict[str, int]:
    classes, counts = np.unique(rows[:, 1] // 100, return_counts=True)
    return {
        f"{digit}xx": int(count)
        for digit, count in zip(classes.tolist(), counts.tolist(), strict=True)
        if 2 <= digit <= 5
    }


def _completed(status: dict[str, int], responses: int) -> dict[str, int]:
    """Statuses of complete responses: h2load counts a status when the head arrives."""
    left = {name: count for name, count in status.items() if count}
    begun = sum(left.values()) - responses
    for name in sorted(left, key=lambda key: -left[key]):
        taken = max(0, min(begun, left[name]))
        left[name] -= taken
        begun -= taken
    return {name: count for name, count in left.items() if count}
