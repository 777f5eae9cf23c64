"""The answer to an upload is the length that the client announced, not the number of bytes read.

Only for requests whose right answer is that number. Found when half of a body was sent and the
connection then half-closed, and the answer gave the announced length as if all had come; found also
when the same body sent chunked, without an announced length, was read to its end and then answered
with another number. Neither shows that the body is dropped; it shows that the answer is no proof
that it was read.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.probed import exchange, named, not_asked, posts
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
# Seen on the idle server.
NEEDS: tuple[str, ...] = ()
EXPLAINS = ("wrong_answers",)
# It makes no request slower by itself.
EXPLAINED = 0.05


def check(run: Run) -> Finding:
    """Found with the exchange that shows it."""
    if why := not_asked(run, bodies=True):
        return unknown(__name__, KIND, why)
    counted = [post for post in posts(run) if post.expect.body == str(post.payload_length)]
    if not counted:
        why = "no answer of this scenario is the length of a body"
        return unknown(__name__, KIND, why)
    cut, chunked = named(run, "cut_body"), named(run, "chunked")
    read = named(run, "chunked_read")
    for name, probe in cut.items():
        if probe.outcome == "differs":
            return _found(
                f"half of the body of {name} was sent, and it was answered with the announced "
                "length",
                exchange(probe),
            )
    for name, probe in read.items():
        if probe.outcome == "differs" and name in chunked:
            rows = [*exchange(chunked[name], "chunked"), *exchange(probe, "held_back")]
            return _found(
                f"a chunked body for {name} was read to its end and answered otherwise: "
                f"{chunked[name].detail}; the number is right only when Content-Length gives it",
                rows,
            )
    if not cut:
        tls = run.manifest.scenario.tls
        why = (
            "a TLS connection cannot be half-closed"
            if tls
            else "no upload was answered right before the load"
        )
        return unknown(__name__, KIND, why)
    shown = next(iter(cut.values()))
    claim = f"half of a body, then the end of the connection: {shown.detail}"
    counted_chunks = any(probe.outcome == "pass" for probe in chunked.values())
    if not shown.response and not counted_chunks:
        why = (
            f"{claim}: who answers nothing does not show what it counts, and no chunked body was "
            "answered right, which has no length to give back"
        )
        return unknown(__name__, KIND, why, exchange(shown))
    return finding(__name__, KIND, Verdict.CLEAR, claim, exchange(shown))


def _found(claim: str, rows: list[Evidence]) -> Finding:
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        claim,
        rows,
        "count the bytes while reading them; `diagnose findings length_not_read` names the call",
        explains=EXPLAINED,
    )
