"""Requests queue for one of a few connections to another service.

Found when the server left cores unwanted while the connections that it has to another address
(three times fewer than the requests that it had taken, and no more of them during the window) were
waiting for an answer nearly all the time, and throughput times the unloaded latency is no more than
their number: what is worked on at a time is what the pool lets through. A server that blocks one
thread for each connection leaves its requests unread instead (too_few_workers), and one whose
requests each have a connection waits for the other side (downstream_wait).
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.downstream import MIN_LOOKS, NOT_SEEN, downstream
from diagnose.analysis.room import ROOM_FOUND, left_over
from diagnose.analysis.serving import serving
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
NEEDS = ("client_saturated", "samples_missed", "connections_missing", "host_noisy")
EXPLAINS = ("low_cpu", "slow_tail", "unfair")

# An exhausted pool measured 0.95 to 1.0 of its connections waiting; the rest is the server's turn.
BUSY = 0.75
BUSY_CLEAR = 0.4
# With fewer than three requests for each connection the queue is not what takes the time.
QUEUE = 3.0
QUEUE_CLEAR = 1.5
# A pool that is full stays as it is; one that grows or shrinks by more is not what holds them up.
STEADY = 0.25
# Worked on at a time, by Little's law, against connections: some of the unloaded latency is not
# spent on the connection. Measured 1.0 to 1.3.
AT_ONCE = 2.0
MOST_NAMED = 2


def check(run: Run) -> Finding:
    """Found with the address, the size of the pool and the queue for it."""
    seen = downstream(run)
    if seen is not None and seen.looks >= MIN_LOOKS and not seen.peers:
        claim = "the server's processes had no connections to others"
        return finding(__name__, KIND, Verdict.CLEAR, claim)
    left = left_over(run, __name__, KIND)
    if isinstance(left, Finding):
        return left
    if seen is None or seen.looks < MIN_LOOKS:
        return unknown(__name__, KIND, NOT_SEEN)
    served = serving(run)
    taken = max(1.0, served.asking - served.waiting)
    top = seen.peers[0]
    # Each worker may have a pool, and another service, of its own.
    pools = [
        peer for peer in seen.peers if peer.timed and peer.waiting > BUSY_CLEAR * peer.connections
    ]
    pools = pools or [top]
    connections = sum(peer.connections for peer in pools)
    waiting = sum(peer.waiting for peer in pools)
    busy = waiting / connections if connections else 0.0
    queue = taken / connections if connections else 0.0
    rows = [
        Evidence("waiting_share_of_pool", busy, "ratio", BUSY, "samples.jsonl"),
        Evidence("requests_per_connection", queue, "requests", QUEUE, "samples.jsonl"),
        Evidence("connections", connections, "connections", None, "samples.jsonl"),
        Evidence("requests_taken", taken, "requests", None, "load.jsonl"),
        Evidence("address", top.address, "", None, "samples.jsonl"),
    ]
    if served.at_once is not None:
        most = AT_ONCE * connections
        rows.append(Evidence("requests_at_once", served.at_once, "requests", most, "load.json"))
    said = (
        f"{taken:.0f} requests shared {connections:.0f} connections to "
        f"{', '.join(peer.address for peer in pools[:MOST_NAMED])}, "
        f"{waiting:.1f} of which were waiting for an answer"
    )
    if not top.timed:
        if queue <= QUEUE_CLEAR:
            return finding(__name__, KIND, Verdict.CLEAR, said, rows)
        why = "a unix socket: the kernel tells no times of it. Twice the pool decides (--vary)"
        return unknown(__name__, KIND, f"{said}; {why}", rows)
    if busy <= BUSY_CLEAR or queue <= QUEUE_CLEAR:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    steady = all(
        peer.at_most - peer.at_least <= max(1.0, STEADY * peer.connections) for peer in pools
    )
    fits = served.at_once is not None and served.at_once <= AT_ONCE * connections
    if busy >= BUSY and queue >= QUEUE and steady and fits and left.share >= ROOM_FOUND:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{said}, while {left.unwanted:.2f} of {left.cores:g} cores idled",
            rows,
            "make the pool larger, up to what the other side takes (its max_connections, divided "
            "by the workers); measure again with twice as many",
            explains=left.share,
        )
    why = "twice the size of the pool decides: throughput doubles if it was the limit"
    return unknown(__name__, KIND, f"{said}: {why}", rows)
