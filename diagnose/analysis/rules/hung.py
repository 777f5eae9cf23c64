"""Requests were sent and never answered, although the server had nothing else to do.

After the window no new request is sent, and what is in flight may still be answered. Found when
requests remain that moved no byte for the scenario's timeout; the claim says whether others were
still answered meanwhile (then these connections are starved: a server that takes fewer connections
at a time than there are) or nothing was. Found also when requests stood still for that long in the
window, although they were answered in the end.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import not_told
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import Failure
from diagnose.model.run import Run

KIND = Kind.SYMPTOM
NEEDS: tuple[str, ...] = ()

# As for errors: one in a thousand is what a user notices, a single one may be an accident.
TIMEOUT_SHARE = 0.001
MIN_TIMEOUTS = 3


def check(run: Run) -> Finding:
    """Found with how many requests hang, and for how long nothing moved."""
    load = run.load
    if load is None:
        return unknown(__name__, KIND, "the measured window gave no result")
    timeout = run.manifest.scenario.timeout_s
    rows = [
        Evidence("unanswered", load.unanswered, "requests", 0, "load.json"),
        Evidence("longest_stall", load.unanswered_stalled_s, "s", timeout, "load.json"),
        Evidence("late_responses", load.late_responses, "responses", None, "load.json"),
    ]
    timeouts = load.failures.get(Failure.TIMEOUT.value, 0)
    rows.append(Evidence("timeouts", timeouts, "requests", MIN_TIMEOUTS, "load.json"))
    if run.manifest.end.when or load.interrupted:
        return unknown(__name__, KIND, "the run ended before requests had their time", rows)
    share = timeouts / max(1, load.responses + timeouts)
    stalled = load.unanswered > 0 and load.unanswered_stalled_s >= timeout
    if not stalled and timeouts >= MIN_TIMEOUTS and share >= TIMEOUT_SHARE:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{timeouts} requests moved no byte for over {timeout:g} s before they ended",
            rows,
            "see what the server's threads wait for meanwhile; a handler that is meant to take so "
            "long needs a larger --timeout",
            explains=share,
        )
    if load.unanswered == 0 and (driver := not_told(run)):
        return unknown(
            __name__, KIND, f"{driver} does not tell of requests without an answer", rows
        )
    if load.unanswered == 0:
        return finding(__name__, KIND, Verdict.CLEAR, "every request was answered", rows)
    moving = load.unanswered_stalled_s < timeout
    if moving and load.bytes_received and not load.responses + load.late_responses + load.failed:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"no request was answered whole in {load.duration_s + load.drain_s:.0f} s: "
            f"{load.bytes_received:,} bytes came, and {load.unanswered} answers did not end",
            rows,
            "see by hand whether an answer ever ends: `curl -sv URL | tail -c 100`",
            explains=1.0,
        )
    if load.unanswered_stalled_s >= timeout:
        others = load.responses + load.late_responses
        claim = (
            f"{load.unanswered} of {load.connections * run.manifest.scenario.pipeline} requests in "
            f"flight were still not answered {load.drain_s:.0f} s after the window: no byte moved "
            f"for up to {load.unanswered_stalled_s:.0f} s"
        )
        if load.drain_progress:
            claim += f", while other connections got {others:,} answers: these were not served"
        elif load.responses == 0:
            claim += ", and none was answered in the whole window"
        else:
            claim += f", after {others:,} answers"
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            claim,
            rows,
            "see the server's log below, and what its threads wait for while it hangs: "
            "`py-spy dump --pid PID`, `jstack PID`, `gdb -p PID`, `kill -QUIT PID` (Go). "
            "A server that takes one connection per worker starves the others: more workers or "
            "threads than connections, or an event loop",
            explains=1.0 if load.responses == 0 else 0.5,
        )
    return unknown(
        __name__,
        KIND,
        f"{load.unanswered} requests were unanswered when the drain ended, but the server was "
        "still at work",
        rows,
    )
