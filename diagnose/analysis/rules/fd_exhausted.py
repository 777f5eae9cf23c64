"""The server has no descriptor left for another connection or file.

Found when a process came within a few of its limit of open files (RLIMIT_NOFILE) and connections
were missing, unserved or broken off; found also when the server's log says that there are too many
open files and requests failed or connections were missing. A process close to its limit with which
nothing is wrong yet is unknown: a few connections more decide.
"""

from __future__ import annotations

from collections import Counter

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.descriptors import complaints, nearest_limit
from diagnose.analysis.standing import standing
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import Failure
from diagnose.model.run import Run

KIND = Kind.CAUSE
# Missing connections are what it brings about: they must not undo it.
NEEDS: tuple[str, ...] = ()
EXPLAINS = ("errors", "hung")

# What a client sees of a server that cannot open another socket, or another file. A handler that
# finds no descriptor for its file or its backend answers 500.
BROKEN = (
    Failure.REFUSED.value,
    Failure.CONNECT_TIMEOUT.value,
    Failure.CONNECT_ERROR.value,
    Failure.RESET_SENDING.value,
    Failure.RESET_WAITING.value,
    Failure.RESET_RECEIVING.value,
    Failure.CLOSED_WAITING.value,
    Failure.CLOSED_RECEIVING.value,
    Failure.TIMEOUT.value,
    Failure.WRONG_STATUS.value,
)
# As for errors: a single one may be an accident.
MIN_HARM = 3


def check(run: Run) -> Finding:
    """Found with the descriptors, their limit, and what failed for want of more."""
    nearest = nearest_limit(run)
    said_by_log = complaints(run)
    load = run.load
    rows = []
    if nearest is not None:
        rows.append(
            Evidence("descriptors", nearest.most, "", nearest.limit, "samples.jsonl"),
        )
        who = f"{nearest.name} (PID {nearest.pid})"
        rows.append(Evidence("process", who, "", None, "samples.jsonl"))
    rows += [Evidence("log", line, "", None, "server.log") for line in said_by_log[-3:]]
    if load is None:
        return unknown(__name__, KIND, "the measured window gave no result", rows)
    if nearest is None and not said_by_log:
        why = "descriptors of the server, or their limit, could not be read"
        return unknown(__name__, KIND, why, rows)
    stood = standing(run)
    missing = run.manifest.connections - stood if stood is not None else 0
    silent = max(0, load.silent_connections)
    failures = Counter(load.failures) + Counter(load.drain_failures)
    broken = sum(failures[kind] for kind in BROKEN)
    rows += [
        Evidence("missing_connections", missing, "connections", MIN_HARM, "load.jsonl"),
        Evidence("silent_connections", silent, "connections", MIN_HARM, "load.json"),
        Evidence("broken_requests", broken, "requests", MIN_HARM, "load.json"),
    ]
    harm = max(missing, silent, broken) >= MIN_HARM
    full = nearest is not None and nearest.reached
    if harm and (full or said_by_log):
        what = (
            f"{nearest.name} (PID {nearest.pid}) had {nearest.most} descriptors open and may have "
            f"{nearest.limit}"
            if nearest is not None and full
            else "the server's log says that there are too many open files"
        )
        unserved = max(missing, silent)
        suffered = (
            f"{unserved} of {run.manifest.connections} connections were missing or got no response"
            if unserved >= MIN_HARM
            else f"{broken} requests failed"
        )
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{what}: {suffered}",
            rows,
            "raise the limit where the server is started: `ulimit -n 65536` in its shell, "
            "LimitNOFILE= in a unit, --ulimit nofile=65536 for a container; and see whether "
            "descriptors are given back: `ls -l /proc/PID/fd | wc -l` while idle",
            explains=max(0.5, unserved / run.manifest.connections),
        )
    if full and nearest is not None:
        why = (
            f"{nearest.name} (PID {nearest.pid}) had {nearest.most} of {nearest.limit} descriptors "
            "open, and nothing failed: the same load with more connections (-c) decides"
        )
        return unknown(__name__, KIND, why, rows)
    if said_by_log:
        why = "the log tells of too many open files, but nothing failed in the window"
        return unknown(__name__, KIND, why, rows)
    assert nearest is not None
    said = f"{nearest.most} descriptors of {nearest.limit} at the most"
    return finding(__name__, KIND, Verdict.CLEAR, said, rows)
