"""Fewer connections stood during the window than were asked for.

Throughput and latency then belong to another load than the one named. Seen by the median number of
established connections over the window's ticks. A server that refuses or drops connections shows
here too: the errors tell.
"""

from __future__ import annotations

from statistics import median

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import not_told
from diagnose.analysis.standing import standing
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import Failure
from diagnose.model.run import Run
from diagnose.model.scenario import Protocol

KIND = Kind.VALIDITY
NEEDS: tuple[str, ...] = ()

# Where every connection is reopened after each response, some are between two lives at any moment;
# in runs against closing servers at 512 connections that was under 5 %.
PRESENT_SHARE = 0.9
# Where connections are renewed more often than this, a snapshot of the server's end misses some.
RENEWED_SHARE = 0.01


def check(run: Run) -> Finding:
    """Found when more than a tenth of the connections was missing half of the time."""
    if driver := not_told(run):
        return unknown(__name__, KIND, f"{driver} does not tell how many connections stood")
    load = run.load
    refused = load.failures.get(Failure.WRONG_STATUS.value, 0) if load else 0
    if run.manifest.scenario.protocol is Protocol.WS and load and refused and not load.responses:
        return unknown(__name__, KIND, "the server refused every upgrade: no connection could stay")
    stood = standing(run)
    if stood is None:
        return unknown(__name__, KIND, "the window is too short to tell")
    wanted = run.manifest.connections
    at_server = _at_server(run)
    evidence = [
        Evidence("established", stood, "connections", round(wanted * PRESENT_SHARE), "load.jsonl")
    ]
    if stood < wanted * PRESENT_SHARE:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{stood} of {wanted} connections stood during the window",
            evidence,
            _next_step(run),
        )
    if at_server is not None and at_server < wanted * PRESENT_SHARE:
        evidence.append(
            Evidence("established_at_server", at_server, "connections", None, "samples.jsonl")
        )
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{stood} connections stood for the client, but only {at_server} of {wanted} at the "
            "server: the others never left its listen backlog",
            evidence,
            "raise the server's listen backlog (`ss -ltn` shows it as Send-Q) and "
            "net.core.somaxconn, accept faster, or ask for fewer with -c",
        )
    return finding(
        __name__, KIND, Verdict.CLEAR, f"{stood} of {wanted} connections stood", evidence
    )


def _next_step(run: Run) -> str:
    if run.load is not None and run.load.failures:
        return (
            "the failures say why: refused or ended by the server is its fault, a connect timeout "
            "means a full listen backlog; or ask for fewer with -c"
        )
    return (
        "the server does not take them: compare its descriptor limit (`grep files "
        "/proc/PID/limits`) and its listen backlog (`ss -ltn`, Send-Q) with the connections, and "
        "read its log; or ask for fewer with -c"
    )


def _at_server(run: Run) -> int | None:
    """Connections that stand at the server's end; None where they come and go, or are not known."""
    load = run.load
    if load is None or load.opens > RENEWED_SHARE * max(1, load.responses):
        return None
    seen = [sample.sockets.established for sample in run.samples_in("window") if sample.sockets]
    return int(median(seen)) if len(seen) >= 3 else None
