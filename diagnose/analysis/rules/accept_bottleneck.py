"""Connections are not accepted as fast as they come: the accept queue was full and dropped some.

A connection that finds the queue of its listener full is dropped without a word; the client's
kernel tries again after one second, then two, then four. Found when the kernel counted such
overflows while this port's queue was seen full, or a connection took the second that a repeated
attempt takes; three of them and one in two hundred connections. Those that are served look fast,
which hides it. Clear when nothing overflowed and the queue was never full. Found also when most of
what is in flight waits to be accepted and the thread that accepts is at its limit, while cores
idle.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import usage
from diagnose.analysis.observe_network import AcceptQueue, accept_queue, network
from diagnose.analysis.room import ROOM_FOUND, Room, asking_connections, room
from diagnose.analysis.serving import Serving, serving
from diagnose.analysis.thread_time import Place
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
# What the kernel dropped was dropped, whoever was the limit.
NEEDS = ("samples_missed",)
EXPLAINS = ("slow_tail", "stalls", "errors", "unfair", "low_cpu", "hung")

# The counters are of the whole network namespace: a stray one may be another port's.
MIN_OVERFLOWS = 3
# One in two hundred connections is p99.5 of connecting, by a second and more.
OVERFLOW_SHARE = 0.005
# The first repetition of a SYN comes after 1 s (RFC 6298, 2.1; tcp_timeout_init of Linux).
RETRY_S = 0.95
# Of what is in flight, the part that waits to be accepted.
QUEUED_SHARE = 0.5
ACCEPTOR_BUSY = 0.9
# New connections for each response, from which on accepting is a part of the work.
CHURN = 0.05
PHASES = ("connect", "ramp", "wave", "warmup", "window", "load")


def check(run: Run) -> Finding:
    """Found with the overflows, the backlog and the time that connecting took."""
    load = run.load
    queues = [queue for phase in PHASES if (queue := accept_queue(run, phase)) is not None]
    overflows = _overflows(run)
    if load is None or (not queues and overflows is None):
        return unknown(__name__, KIND, "neither accept queue nor overflows were sampled")
    opens = load.connections + load.opens
    longest = max(queues, key=lambda queue: queue.longest, default=None)
    full = max((queue.full_share for queue in queues), default=0.0)
    limit = max(MIN_OVERFLOWS, OVERFLOW_SHARE * opens)
    rows = [
        Evidence("overflows", overflows or 0, "connections", limit, "samples.jsonl"),
        Evidence("connect_max", load.connect_max_s, "s", RETRY_S, "load.json"),
        Evidence("connections_opened", opens, "connections", None, "load.json"),
    ]
    if longest is not None:
        rows[1:1] = [
            Evidence(
                "accept_queue", longest.longest, "connections", longest.backlog, "samples.jsonl"
            ),
            Evidence("queue_full_share", full, "ratio", 0.0, "samples.jsonl"),
        ]
    slow = load.connect_max_s >= RETRY_S
    said = (
        f"{overflows or 0:,} attempts to connect, for {opens:,} connections, found the queue full"
    )
    if longest is not None:
        said += f" (backlog {longest.backlog})"
    if (overflows or 0) >= limit and (full > 0 or slow):
        took = f"; connecting took up to {load.connect_max_s:.1f} s" if slow else ""
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            said + took,
            rows,
            "raise the server's backlog (argument of listen) and net.core.somaxconn, and accept "
            "until there is none left; `diagnose findings accept_bottleneck` names the settings",
            explains=min(1.0, (overflows or 0) / opens) if opens else 0.0,
        )
    if (overflows or 0) >= limit:
        why = f"{overflows:,} overflows, but this port's queue was not seen full: another port's?"
        return unknown(__name__, KIND, why, rows)
    if overflows is None and full > 0 and longest is not None:
        why = f"the accept queue was full (backlog {longest.backlog}); what it dropped is not known"
        return unknown(__name__, KIND, why, rows)
    return _acceptor(run, longest, said, rows)


def _overflows(run: Run) -> int | None:
    """Overflows from the first connection to the end of the window; None where not counted."""
    counts = [
        used.listen_overflows
        for phase in PHASES
        if (used := network(run, phase)) is not None and used.listen_overflows is not None
    ]
    return sum(counts) if counts else None


def _acceptor(run: Run, longest: AcceptQueue | None, said: str, rows: list[Evidence]) -> Finding:
    """Nothing was dropped: does what waits to be accepted wait for one busy thread?"""
    load, used = run.load, usage(run)
    window = accept_queue(run)
    if load is None or used is None or window is None or longest is None:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    left = room(run, used)
    asking = asking_connections(run)
    queued = window.mean / asking if asking > 0 else 0.0
    rows.append(Evidence("queued_share", queued, "ratio", QUEUED_SHARE, "samples.jsonl"))
    churn = load.opens / max(1, load.responses)
    if queued < QUEUED_SHARE or churn < CHURN or left.share < ROOM_FOUND or left.doubt:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    return _one_acceptor(serving(run), left, queued, rows)


def _one_acceptor(seen: Serving, left: Room, queued: float, rows: list[Evidence]) -> Finding:
    acceptors = [row for row in seen.threads if seen.rest.get(row.key) is Place.ACCEPT]
    busy = max((row.use.busy for row in acceptors), default=0.0)
    rows.append(Evidence("acceptor_busy", busy, "cores", ACCEPTOR_BUSY, "samples.jsonl"))
    said = f"{queued:.0%} of what was in flight waited to be accepted"
    if busy < ACCEPTOR_BUSY:
        claim = f"{said}, but for a free worker: no thread that only accepts was at its limit"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{said}, and the one thread that accepts was busy {busy:.0%} of the time",
        rows,
        "let every worker accept from a listening socket of its own (SO_REUSEPORT), and keep "
        "connections open",
        explains=left.share,
    )
