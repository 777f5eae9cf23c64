"""Pipelined requests wait for something between one answer and the next, or are lost.

On the idle server 4 and then 16 requests are sent in one write. Found when each one more costs a
millisecond and more, and three times what a request takes alone: a timer, a poll or a sleep stands
between them. A server that takes requests one after the other, each as long as it takes alone, is
not meant. Found also when answers are missing, or in the wrong order, on a connection that stays
open. Where the load does not pipeline, what only costs time is unknown: it slows nothing here.

Source: RFC 9112, 9.3.2: a server "MUST send the corresponding responses in the same order that the
requests were received"; a server may close, and the client then repeats what was not answered.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.probed import SOURCE, exchange, named, not_asked, only_long
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import ProbeCheck, Run

KIND = Kind.CAUSE
# Seen on the idle server; the load decides only whether it matters.
NEEDS: tuple[str, ...] = ()
EXPLAINS = ("low_cpu", "slower_than_reference")

SMALL, LARGE = 4, 16
# The finest timer of an event loop is a millisecond (epoll_wait, poll). Twelve healthy
# servers in six languages took 0.01 to 0.65 ms for one more request, 0.1 to 1.7 times one alone.
MORE_FOUND_S = 0.001
TIMES_FOUND = 3.0
MORE_CLEAR_S = 0.0005
TIMES_CLEAR = 2.0
# What a fault that this load does not meet explains of its figures.
NOT_IN_LOAD = 0.01


def check(run: Run) -> Finding:
    """Found with the time of one request more."""
    if why := not_asked(run):
        return unknown(__name__, KIND, why)
    probes = named(run, "pipelined")
    if not probes:
        why = only_long(run) or (
            "no small request kept its connection and was quick enough to be sent in a burst"
        )
        return unknown(__name__, KIND, why)
    probe = next(iter(probes.values()))
    deep = run.manifest.scenario.pipeline > 1
    aside = "" if deep else " (this load does not pipeline)"
    if probe.outcome == "differs":
        return _broken(probe, deep, aside)
    single, small, large = probe.times_s
    more = max(0.0, (large - small) / (LARGE - SMALL))
    limit = max(MORE_FOUND_S, TIMES_FOUND * single)
    rows = [
        Evidence("one_more_request", more, "s", limit, SOURCE),
        Evidence("one_request_alone", single, "s", None, SOURCE),
        Evidence(f"burst_of_{SMALL}", small, "s", None, SOURCE),
        Evidence(f"burst_of_{LARGE}", large, "s", None, SOURCE),
    ]
    if run.load is not None and run.load.latency.samples and deep:
        rows.append(Evidence("latency_p50", run.load.latency.p50_s, "s", None, "load.json"))
    said = (
        f"on the idle server {SMALL} requests at once take {small * 1e3:.1f} ms and {LARGE} take "
        f"{large * 1e3:.1f} ms: {more * 1e3:.2f} ms for each one more, {single * 1e3:.2f} ms for "
        "one alone"
    )
    if more >= limit and deep:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            said,
            rows,
            "see what starts the next request that is in the buffer already: it must not wait for "
            "a timer, a poll, or another event of the socket",
            explains=min(0.95, 1 - single / more),
        )
    if more >= limit:
        why = f"{said}; this load does not pipeline: one that does decides (-p 16)"
        return unknown(__name__, KIND, why, rows)
    if more <= max(MORE_CLEAR_S, TIMES_CLEAR * single):
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    return unknown(__name__, KIND, f"{said}: between the limits", rows)


def _broken(probe: ProbeCheck, deep: bool, aside: str) -> Finding:
    """Answers are missing or wrong."""
    rows = [Evidence("seen", probe.detail, "", None, SOURCE), *exchange(probe)]
    if probe.closes:
        why = f"the server closed the connection behind an answer, as it may: {probe.detail}"
        return unknown(__name__, KIND, why, rows)
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"requests sent at once are not all answered in order{aside}: {probe.detail}",
        rows,
        "keep what was read behind the end of a request, and parse it before waiting for more",
        explains=0.95 if deep else NOT_IN_LOAD,
    )
