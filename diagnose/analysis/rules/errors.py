"""Requests failed: connections refused, reset or closed, responses cut off or not HTTP.

Wrong answers and requests that hang have rules of their own. A request behind a response that
announced the close of the connection is not counted: the client must repeat it (RFC 9112, 9.3.2).
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import Failure
from diagnose.model.run import Run

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
    failures = {kind: count for kind, count in load.failures.items() if kind not in OTHERS}
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
    return finding(
        __name__, KIND, Verdict.CLEAR, f"{failed} of {failed + load.responses} failed", rows
    )
