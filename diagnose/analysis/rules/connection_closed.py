"""The server closes the connection after a response instead of keeping it for the next request.

Found when the server ended one connection or more for every five responses, without being asked;
found also when, on the idle server, the right answer to one of the templates closed the connection
(under load such a template dies out, because a reopened connection takes the next one). Each
request then pays for a new connection; benchmarks count it as a reconnect and nobody notices.
`Connection: close` and HTTP/1.0 responses announce it; a close without an announcement also makes
the next request fail. Unknown where worker processes were replaced meanwhile: their connections end
with them.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import not_told
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import Failure
from diagnose.model.run import Run

KIND = Kind.CAUSE
# A fact of the protocol, seen on every connection: no validity rule undoes it.
NEEDS: tuple[str, ...] = ()
EXPLAINS = ("errors",)

# One close per response measured 0.94 and more, a server that keeps only some of its idle
# connections 0.3 to 0.5, healthy ones 0.00. A connection that lives for fewer than five responses
# is not kept in any useful sense; limits that are set on purpose begin at 10.
CLOSED_FOUND = 0.2
# Servers that recycle connections after 100 requests or more are not meant here.
CLOSED_CLEAR = 0.015
# Above this every response closes, whatever else happens to the workers.
MOSTLY_CLOSED = 0.9
MIN_RESPONSES = 20


def check(run: Run) -> Finding:
    """Found with closes per response."""
    load = run.load
    responses = load.responses if load else 0
    closes = load.server_closes if load else 0
    share = closes / max(1, responses)
    rows = [
        Evidence("closes_per_response", share, "ratio", CLOSED_FOUND, "load.json"),
        Evidence("reconnects", load.opens if load else 0, "connections", None, "load.json"),
        Evidence("close_announced", load.close_announced if load else 0, "", None, "load.json"),
        Evidence("responses", responses, "responses", MIN_RESPONSES, "load.json"),
    ]
    closing = sorted(
        {
            probe.template
            for probe in run.manifest.probes
            if probe.name == "plain" and probe.outcome == "pass" and probe.closes
        }
    )
    if closing and (share < CLOSED_FOUND or responses < MIN_RESPONSES):
        rows.append(Evidence("closing_templates", ", ".join(closing), "", None, "run.json"))
        others = "; others were kept" if len(closing) < len(run.manifest.scenario.templates) else ""
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"on the idle server the connection was closed after the answer to "
            f"{', '.join(closing)}{others}",
            rows,
            "see why this kind of request ends its connection; by hand: send it twice with curl "
            "and compare %{num_connects}",
            explains=len(closing) / max(1, len(run.manifest.scenario.templates)) / 2,
        )
    if load is None or responses < MIN_RESPONSES:
        return unknown(__name__, KIND, f"fewer than {MIN_RESPONSES} responses", rows)
    refusals = load.failures.get(Failure.WRONG_STATUS.value, 0)
    if share >= CLOSED_FOUND and refusals > responses / 2:
        why = f"{refusals} of {responses} answers were refusals: servers close after these"
        return unknown(__name__, KIND, why, rows)
    if driver := not_told(run):
        if run.manifest.probes and not load.opens:
            claim = f"kept when idle; under load {driver} does not tell how connections end"
            return unknown(__name__, KIND, claim, rows)
        if not load.opens:
            return unknown(__name__, KIND, f"{driver} does not tell how connections end", rows)
    replaced = sum(len(sample.gone) for sample in run.samples_in("window"))
    if replaced >= 2 and CLOSED_CLEAR < share < MOSTLY_CLOSED:
        rows.append(Evidence("processes_ended", replaced, "processes", 0, "samples.jsonl"))
        return unknown(
            __name__,
            KIND,
            f"{load.server_closes} connections were closed over {responses} responses while "
            f"{replaced} processes ended: workers that are replaced take their connections with "
            "them (gunicorn --max-requests and the like)",
            rows,
        )
    said = f"the server closed {load.server_closes} connections over {load.responses} responses"
    if share >= CLOSED_FOUND:
        how = (
            "announced (`Connection: close`, HTTP/1.0, or a body that ends with the connection)"
            if load.close_announced >= load.server_closes / 2
            else "without announcing it, so that requests under way are lost"
        )
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{said}, {how}",
            rows,
            "turn keep-alive on; by hand: `curl -s -w '%{num_connects} ' URL URL` must print 1, "
            "then 0",
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
