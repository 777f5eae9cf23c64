"""The server closes the connection after a response instead of keeping it for the next request.

Found when the server ended at least half as many connections as it gave responses, without being
asked. Each request then pays for a new connection; benchmarks count it as a reconnect and nobody
notices. `Connection: close` and HTTP/1.0 responses announce it; a close without an announcement
also makes the next request fail.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
# A fact of the protocol, seen on every connection: no validity rule undoes it.
NEEDS: tuple[str, ...] = ()

# One close per response measured 0.94 and more, healthy servers 0.00.
CLOSED_FOUND = 0.5
# Servers that recycle connections after 100 requests or more are not meant here.
CLOSED_CLEAR = 0.01
MIN_RESPONSES = 20


def check(run: Run) -> Finding:
    """Found with closes per response."""
    load = run.load
    if load is None or load.responses < MIN_RESPONSES:
        return unknown(__name__, KIND, f"fewer than {MIN_RESPONSES} responses")
    share = load.server_closes / load.responses
    rows = [
        Evidence("closes_per_response", share, "ratio", CLOSED_FOUND, "load.json"),
        Evidence("reconnects", load.opens, "connections", None, "load.json"),
        Evidence("close_announced", load.close_announced, "connections", None, "load.json"),
        Evidence("responses", load.responses, "responses", None, "load.json"),
    ]
    said = f"the server closed {load.server_closes} connections over {load.responses} responses"
    if share >= CLOSED_FOUND:
        how = (
            "announced with `Connection: close` or HTTP/1.0"
            if load.close_announced >= load.server_closes / 2
            else "without announcing it, so that requests under way are lost"
        )
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{said}, {how}",
            rows,
            'turn keep-alive on; confirm by hand: `curl -sv URL URL` must say "Re-using existing '
            'connection" for the second request',
            explains=0.5,
        )
    if share <= CLOSED_CLEAR:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    return unknown(
        __name__,
        KIND,
        f"{said}: one in {1 / share:.0f}; a limit of requests per connection does that",
        rows,
    )
