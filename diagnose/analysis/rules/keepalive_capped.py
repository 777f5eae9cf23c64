"""The server closes each connection after a fixed number of responses, and the number is small.

Found when nearly all closes came after the same number of responses and that number is so small
that opening connections again costs the server three percent or more of its work; clear when the
cost is below one and a half, whatever the number; unknown between them. A number of one is another
finding, connection_closed. Unknown where processes of the server ended meanwhile: their connections
end with them.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import not_told
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
# A fact of the protocol, seen on every connection: no validity rule undoes it.
NEEDS: tuple[str, ...] = ()

# What the end of a connection and a new one cost the server, in requests of the cheapest kind
# (nginx returning two bytes, CPU time per request with keepalive_requests 1: 3.2 times that with
# no limit). Measured with limits of 10, 20, 50, 100, 200, 1000: 24, 14, 4, 1.3, 0.1, 0.3 % more;
# dearer requests make it less. With TLS, sessions resumed, limits of 10 and 100 cost 106 and 5 %
# more, and 1000 nothing that could be measured.
RECONNECT_COST = 2.2
TLS_RECONNECT_COST = 10.0
# A difference of two percent is what a careful comparison can show at best. Three are worth a
# change of a setting (without TLS a limit of 73 and less: nginx set to 10 or 50); one and a half
# are not (a limit of 147 and more: 1000, as nginx has it by default). Between them is the default
# of Apache and Tomcat, 100.
COST_FOUND = 0.03
COST_CLEAR = 0.015
# Limits close at the same number each time; what ends connections for another reason (time, age of
# a worker, errors) spreads over many.
SAME_SHARE = 0.8
MIN_CLOSES = 20


def check(run: Run) -> Finding:
    """Found with the number of responses after which connections end."""
    load = run.load
    if load is None or not load.responses:
        return unknown(__name__, KIND, "the measured window gave no response")
    if driver := not_told(run):
        return unknown(__name__, KIND, f"{driver} does not tell how connections end")
    closes = load.server_closes
    reconnect = TLS_RECONNECT_COST if run.manifest.scenario.tls else RECONNECT_COST
    limit, same = max(load.closes_after.items(), key=lambda item: item[1], default=(0, 0))
    rows = [
        Evidence("responses_at_close", limit, "responses", None, "load.json"),
        Evidence("closes_at_this_number", same / max(1, closes), "ratio", SAME_SHARE, "load.json"),
        Evidence("server_closes", closes, "connections", MIN_CLOSES, "load.json"),
    ]
    if closes == 0:
        return finding(__name__, KIND, Verdict.CLEAR, _kept(run), rows)
    if closes < MIN_CLOSES:
        if closes * reconnect / load.responses <= COST_CLEAR:
            claim = f"{closes} connections were closed over {load.responses:,} responses"
            return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
        why = f"{closes} closes are too few to see a number in them"
        return unknown(__name__, KIND, why, rows)
    if same < SAME_SHARE * closes:
        said = f"{closes} connections were closed, after different numbers of responses"
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    replaced = sum(len(sample.gone) for sample in run.samples_in("window"))
    if replaced:
        rows.append(Evidence("processes_ended", replaced, "processes", 0, "samples.jsonl"))
        why = (
            f"connections were closed after {limit} responses while {replaced} processes ended: "
            "workers that are replaced take their connections with them"
        )
        return unknown(__name__, KIND, why, rows)
    if limit <= 1:
        claim = "connections were closed after one response: see connection_closed"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    cost = reconnect / limit
    rows.append(Evidence("reconnect_cost", cost, "ratio", COST_FOUND, "load.json"))
    said = (
        f"{same:,} of {closes:,} connections that the server closed ended after {limit} responses"
    )
    if cost >= COST_FOUND:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{said}: one request in {limit} pays for a new connection (about {cost:.0%} of the "
            "work, where requests are cheap)",
            rows,
            f"raise the limit of {limit} requests per connection, or switch it off; "
            "`diagnose findings keepalive_capped` names the setting",
            explains=min(0.5, cost),
        )
    if cost <= COST_CLEAR:
        claim = f"{said}: a limit that costs next to nothing ({cost:.1%} of the work at the most)"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    why = (
        f"{said}: that may cost {cost:.1%} of the work; the same load with a higher limit decides "
        "(`diagnose compare`)"
    )
    return unknown(__name__, KIND, why, rows)


def _kept(run: Run) -> str:
    load = run.load
    mine = run.manifest.scenario.requests_per_connection
    if mine:
        return f"no connection was closed by the server; the client closes after {mine} requests"
    most = load.connection_responses.max if load and load.connection_responses else 0
    return f"no connection was closed by the server, after up to {most:,} responses in the window"
