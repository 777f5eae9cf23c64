"""Requests failed: connections refused, reset or closed, responses cut off or not HTTP.

Counted are the requests of the window, those that failed only while it drained included, and the
probes that got no answer in one form (fragmented, or second on a connection) although they got
one whole. Wrong answers and requests that hang have rules of their own. A request behind a response
that announced the close of the connection is not counted: the client must repeat it (RFC 9112,
9.3.2).
"""

from __future__ import annotations

from collections import Counter

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import not_told
from diagnose.analysis.probed import exchange
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import Failure
from diagnose.model.run import ProbeCheck, Run

KIND = Kind.SYMPTOM
NEEDS: tuple[str, ...] = ()

OTHERS = {Failure.WRONG_STATUS.value, Failure.WRONG_BODY.value, Failure.TIMEOUT.value}
# One request in a thousand is what a user notices; a single one may be an accident.
FAILED_SHARE = 0.001
MIN_FAILURES = 3


def check(run: Run) -> Finding:
    """Found when at least one request in a thousand failed, three at the least."""
    load = run.load
    if load is None:
        return unknown(__name__, KIND, "the measured window gave no result")
    every = Counter(load.failures) + Counter(load.drain_failures)
    failures = {kind: count for kind, count in every.items() if kind not in OTHERS}
    failed = sum(failures.values())
    share = failed / max(1, failed + load.responses)
    worst = sorted(failures.items(), key=lambda item: -item[1])
    rows = [Evidence("failed_share", share, "ratio", FAILED_SHARE, "load.json")]
    rows += [Evidence(kind, count, "requests", None, "load.json") for kind, count in worst]
    rows += [
        Evidence(f"example_{example.kind}", example.detail, "", None, "load.json")
        for example in load.examples
        if example.kind in failures
    ][:3]
    refused = _refused_forms(run)
    rows += [
        Evidence("probe", f"{probe.template}, {probe.name}: {probe.detail}", "", None, "run.json")
        for probe in refused[:3]
    ]
    rows += [row for probe in refused[:1] for row in exchange(probe)]
    if failed >= MIN_FAILURES and share >= FAILED_SHARE:
        kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in worst)
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{failed} of {failed + load.responses} requests failed ({share:.1%}): {kinds}",
            rows,
            "read the server's log (server.log); the examples say where in the exchange it broke",
            explains=share,
        )
    if refused:
        first = refused[0]
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{first.template} is answered when it comes whole, but not {first.name}: "
            f"{first.detail}",
            rows,
            "the exchange is in run.json (probes)",
            explains=0.01,
        )
    if failed + load.responses == 0 and (driver := not_told(run)):
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{driver} got no response in the whole window, and does not tell why",
            rows,
            "look at the server's log (server.log), and repeat one request by hand: `curl -v URL`",
            explains=1.0,
        )
    if failed + load.responses == 0 and load.failed:
        why = f"no request was answered: {load.failed} failed in other ways"
        return unknown(__name__, KIND, why, rows)
    if failed + load.responses == 0:
        return unknown(__name__, KIND, "no request was answered, and none failed", rows)
    if failed >= MIN_FAILURES or (failed and share >= FAILED_SHARE):
        why = f"{failed} of {failed + load.responses} requests failed: too few to tell"
        return unknown(__name__, KIND, why, rows)
    return finding(
        __name__, KIND, Verdict.CLEAR, f"{failed} of {failed + load.responses} failed", rows
    )


def _refused_forms(run: Run) -> list[ProbeCheck]:
    """Probes without an answer of templates that were answered when sent whole."""
    whole = {
        probe.template
        for probe in run.manifest.probes
        if probe.name == "plain" and probe.outcome != "error"
    }
    return [
        probe
        for probe in run.manifest.probes
        if probe.outcome == "error" and probe.template in whole
    ]
