"""One request on each connection, and as many as the server lets: what does reuse change?"""

from __future__ import annotations

from collections.abc import Collection

from diagnose.experiments._figures import (
    FEWEST_PAIRS,
    between,
    figure,
    mean,
    pair_ratios,
    told,
    undecided,
)
from diagnose.model.experiment import Change, Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.report import Analyzed
from diagnose.model.run import Run

TITLE = "one request for each connection, and as many as the server allows"
DECIDES = {
    "connection_closed": "a client that never closes is no faster than one that closes after each "
    "response: the server closes anyway",
    "keepalive_capped": "the server ends connections after the same number of responses when there "
    "are fewer of them",
    "accept_bottleneck": "throughput rises when connections are kept",
}
REPEATS = 2
ONE, MANY, FEWER = "one request each", "kept open", "kept open, half the connections"
# Reuse of connections saved 30 to 70 % of the CPU time of cheap requests on healthy servers (nginx
# with two bytes: 3.2 times as fast).
SAME, FASTER = 1.15, 1.4
CLOSED = 0.9
CAP = 0.1


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """A client that closes after one request, one that never does, and half of the latter."""
    if base.manifest.scenario.tls:
        return "with TLS a new connection costs a handshake, whoever closes"
    half = max(1, base.manifest.connections // 2)
    return (
        Leg(ONE, Change(requests_per_connection=1)),
        Leg(MANY, Change(requests_per_connection=0)),
        Leg(FEWER, Change(requests_per_connection=0, connections=half)),
    )


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """As each cause predicts."""
    if suspect.id == "keepalive_capped":
        return _capped(seen)
    ratios = pair_ratios(seen, ONE, MANY)
    if len(ratios) < FEWEST_PAIRS:
        return undecided("too few pairs of runs in which the load was not the limit")
    closed = told(seen, MANY, _closed_share)
    said = f"{between(ratios, 'x')} as fast when the client keeps connections open"
    rows = (Evidence("kept_to_closed", mean(ratios), "ratio", FASTER, "load.json"),)
    if suspect.id == "accept_bottleneck":
        if min(ratios) >= FASTER:
            effect = f"{mean(ratios):.2g}x where connections are kept"
            return Judged(Outcome.CONFIRMED, said, effect, rows)
        if max(ratios) <= SAME:
            return Judged(Outcome.REFUTED, said, evidence=rows)
        return Judged(Outcome.UNDECIDED, said, evidence=rows)
    if not closed:
        return undecided("how connections ended could not be told")
    said += f"; then the server closed after {between(closed)} of the responses"
    if max(ratios) <= SAME and min(closed) >= CLOSED:
        return Judged(Outcome.CONFIRMED, said, "each request pays for a connection", rows)
    if max(closed) < 1 - CLOSED:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)


def _closed_share(run: Analyzed) -> float | None:
    load = run.run.load
    return load.server_closes / load.responses if load and load.responses else None


def _capped(seen: Seen) -> Judged:
    def limit(run: Analyzed) -> float | None:
        value = figure(run, "keepalive_capped", "responses_at_close")
        return value if value else None

    many, fewer = told(seen, MANY, limit), told(seen, FEWER, limit)
    same = [figure(run, "keepalive_capped", "closes_at_this_number") for run in seen.get(MANY, [])]
    if not many or not fewer:
        return undecided("the server closed no connection")
    both = [*many, *fewer]
    said = f"after {between(many)} responses, with half the connections after {between(fewer)}"
    rows = (Evidence("responses_at_close", both[0], "responses", None, "load.json"),)
    alike = max(both) - min(both) <= CAP * min(both)
    if alike and all(value is not None and value >= 1 - 2 * CAP for value in same):
        return Judged(Outcome.CONFIRMED, said, f"a limit of {both[0]:.0f}", rows)
    if not alike:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)
