"""Some connections are served far more often than others with the same requests.

In a closed loop every connection has one request at a time, so what each got in the window is how
often the server turned to it. Found when the best served tenth of the connections got three times
the responses of the worst served tenth and more, or when connections stood through the window
without any response while others were served. A server that hands work out in turn comes to 1.0 to
1.3. Unknown where connections
send different requests, whose cost differs, where they are opened anew, and, up to ten times, on
cores that are all in use.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import LATE_SHARE, not_told, worst_lag_share
from diagnose.analysis.observe import usage
from diagnose.analysis.room import ROOM_FOUND, room
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.SYMPTOM
NEEDS = ("client_saturated", "connections_missing", "host_noisy")

# Twice may be two workers with uneven numbers of connections; three times is another kind of
# service.
UNFAIR_FOUND = 3.0
UNFAIR_CLEAR = 2.0
# On full cores the scheduler and the order of ready sockets make differences: a Go server with 512
# connections on two cores came to 3.4.
FULL_UNFAIR = 10.0
# Numbers of responses below this differ by chance (its deviation is a quarter of it).
MIN_RESPONSES = 16
MIN_CONNECTIONS = 8
# Connections without any response while others had dozens.
SILENT_SHARE = 0.02
# Templates whose latency differs by less than this are the same work.
ALIKE = 1.5


def check(run: Run) -> Finding:
    """Found with what the best and the worst served connections got."""
    load = run.load
    if load is None:
        return unknown(__name__, KIND, "the measured window gave no result")
    if driver := not_told(run):
        return unknown(__name__, KIND, f"{driver} does not tell what each connection got")
    spread = load.connection_responses
    silent = load.silent_connections
    if spread is None or spread.connections < MIN_CONNECTIONS:
        why = f"fewer than {MIN_CONNECTIONS} connections stood through the window and were served"
        return unknown(__name__, KIND, why)
    ratio = spread.p90 / max(1, spread.p10)
    rows = [
        Evidence("best_to_worst_tenth", ratio, "ratio", UNFAIR_FOUND, "load.json"),
        Evidence("responses_p10", spread.p10, "responses", None, "load.json"),
        Evidence("responses_p90", spread.p90, "responses", MIN_RESPONSES, "load.json"),
        Evidence(
            "connections_without_any",
            max(0, silent),
            "connections",
            SILENT_SHARE * run.manifest.connections,
            "load.json",
        ),
    ]
    said = (
        f"a tenth of the connections got {spread.p90:,} responses and more, another tenth "
        f"{spread.p10:,} and fewer"
    )
    if spread.p50 < MIN_RESPONSES:
        why = f"{spread.p50} responses a connection are too few to compare; measure longer (-d)"
        return unknown(__name__, KIND, why, rows)
    starved = silent >= max(1.0, SILENT_SHARE * run.manifest.connections)
    if starved:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{silent} connections got no response in the window, others {spread.p50:,} each",
            rows,
            "see whether they are accepted at all (a limit on connections or threads), and whether "
            "a worker serves one connection until it closes",
            explains=silent / max(1, run.manifest.connections),
        )
    if ratio <= UNFAIR_CLEAR:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    latencies = [part.latency.p50_s for part in load.templates if part.responses > 0]
    if len(latencies) > 1 and max(latencies) > ALIKE * min(latencies):
        why = f"{said}, but they sent different requests: repeat with one of them (--path)"
        return unknown(__name__, KIND, why, rows)
    lag = worst_lag_share(run)
    if lag > LATE_SHARE:
        why = f"{said}, but {lag:.0%} of the latency was the generator's own"
        return unknown(__name__, KIND, why, rows)
    used = usage(run)
    full = used is not None and room(run, used).share < ROOM_FOUND
    if full and ratio < FULL_UNFAIR:
        why = f"{said}, on cores that were (nearly) all in use: repeat with fewer connections (-c)"
        return unknown(__name__, KIND, why, rows)
    if ratio < UNFAIR_FOUND:
        return unknown(__name__, KIND, f"{said}: between the limits", rows)
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        said,
        rows,
        "see how connections are spread over workers, and whether a loop turns to the newest or "
        "the busiest first",
        explains=0.3,
    )
