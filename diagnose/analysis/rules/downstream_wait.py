"""Requests wait for another service, and the server idles meanwhile.

Found when the server left a fifth or more of its cores unwanted while requests were in flight, and
for at least half of the requests that it had taken a connection of its own to another address (a
database, a cache, a service) had sent something and had got nothing back yet. Which connections
wait is told by the kernel: when each last sent and received. It says where the time goes, not whose
fault it is: the other side may be slow, or asked too often, or one after the other.
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
EXPLAINS = ("low_cpu", "slow_tail")

# Each request waits in its own connection: 0.9 to 1.0 measured for a server that waits properly.
# With fewer than half of them there, most requests wait for something else.
WAITING = 0.5
CLEAR = 0.15


def check(run: Run) -> Finding:
    """Found with the address, and how many connections to it were waiting."""
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
    share = seen.waiting / taken
    top = seen.peers[0]
    rows = [
        Evidence("waiting_share", share, "ratio", WAITING, "samples.jsonl"),
        Evidence("waiting_connections", seen.waiting, "connections", None, "samples.jsonl"),
        Evidence("requests_taken", taken, "requests", None, "load.jsonl"),
        Evidence("unwanted_share", left.share, "ratio", ROOM_FOUND, "samples.jsonl"),
        Evidence("address", top.address, "", None, "samples.jsonl"),
    ]
    said = (
        f"{seen.waiting:.1f} connections to {top.address} were waiting for an answer while "
        f"{taken:.0f} requests were being served"
    )
    if share >= WAITING and left.share >= ROOM_FOUND:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{said}, and {left.unwanted:.2f} of {left.cores:g} cores idled",
            rows,
            "measure one query there by itself; then ask less often (cache, batch), several things "
            "at once, or make it faster (an index)",
            explains=left.share,
        )
    if not all(peer.timed for peer in seen.peers):
        why = "it has connections to unix sockets, of which the kernel tells no times: trace them"
        return unknown(__name__, KIND, f"{why} (`perf trace`, the database's own statistics)", rows)
    if share <= CLEAR:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    return unknown(__name__, KIND, f"{said}: between the limits", rows)
