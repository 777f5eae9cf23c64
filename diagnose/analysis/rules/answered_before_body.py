"""A request is answered with success before its body has arrived.

Found when, on the idle server, the head and half of the body were sent and nothing more, and a
complete 2xx answer came, twice. The figures of an upload are then not those of reading it, and a
client that stops at the answer leaves the rest of the body on the connection. A refusal may come
early (413, 401, 417), and is not meant.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.probed import SOURCE, exchange, named, not_asked, posts
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
# Seen on the idle server.
NEEDS: tuple[str, ...] = ()
EXPLAINS = ("wrong_answers",)

# Half of all answers before the end of their body: more than what a race could do.
EARLY_SHARE = 0.5


def check(run: Run) -> Finding:
    """Found with the answer that came too early."""
    if why := not_asked(run, bodies=True):
        return unknown(__name__, KIND, why)
    load = run.load
    early = load.early_answers if load else 0
    rows = [Evidence("early_answers", early, "responses", None, "load.json")] if load else []
    for name, probe in named(run, "half_body").items():
        sent = probe.times_s[-1] if probe.times_s else probe.latency_s
        rows = [Evidence("half_body", sent, "s", None, SOURCE), *rows, *exchange(probe)]
        if probe.outcome == "differs":
            others = sum(each.name == name for each in run.manifest.scenario.templates)
            return finding(
                __name__,
                KIND,
                Verdict.FOUND,
                f"{name} got a success {sent * 1e3:.1f} ms after its head and half of its body, "
                "while the rest was held back",
                rows,
                "answer when the body was read to its end; whatever the handler does not want, it "
                "must still read, or refuse with an error",
                explains=0.5 * others / max(1, len(run.manifest.scenario.templates)),
            )
        if load and early >= EARLY_SHARE * max(1, load.ok) and load.ok:
            why = (
                f"{early} of {load.responses} answers came before the body was sent, but not that "
                f"to {name} on the idle server: see by hand with a body that is held back"
            )
            return unknown(__name__, KIND, why, rows)
        claim = f"while half of the body of {name} was held back: {probe.detail}"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    chunked = all(template.chunked for template in posts(run))
    why = (
        "the scenario sends chunked bodies only"
        if chunked
        else "no request with a body was answered right before the load"
    )
    return unknown(__name__, KIND, why, rows)
