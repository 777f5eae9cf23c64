"""A chunked body is not understood: the answer is not that to the same body with a Content-Length.

Found when a chunked request of the load is answered wrong, or not at all, on the idle server, and
the same request with a Content-Length is answered right; found also when the load sends no chunked
request but one that was tried got a success with the wrong body: what was sent is lost silently. A
refusal (411, 501 and the like) of a form that the load does not send is allowed, and unknown.

Source: RFC 9112, 7.1: "A recipient MUST be able to parse and decode the chunked transfer coding."
RFC 9110, 15.5.12: 411 refuses a request without a defined Content-Length.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.probed import exchange, named, names_of, not_asked, posts, share
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.run import ProbeCheck, Run

KIND = Kind.CAUSE
# Seen on the idle server, with nothing but the framing changed.
NEEDS: tuple[str, ...] = ()
EXPLAINS = ("wrong_answers", "errors")

# A fault that this load does not meet explains next to nothing of its figures.
NOT_IN_LOAD = 0.01


def check(run: Run) -> Finding:
    """Found with both answers."""
    if why := not_asked(run, bodies=True):
        return unknown(__name__, KIND, why)
    as_sent = named(run, "short_body", "plain")
    lengths, chunks = named(run, "content_length"), named(run, "chunked")
    hit = [
        name
        for name, other in lengths.items()
        if name in as_sent and as_sent[name].outcome != "pass" and other.outcome == "pass"
    ]
    if hit:
        return _found(run, hit, as_sent[hit[0]], lengths[hit[0]], share(hit, run))
    lost = [
        name
        for name, other in chunks.items()
        if name in as_sent
        and as_sent[name].outcome == "pass"
        and other.outcome != "pass"
        and other.status // 100 == 2
    ]
    sends = any(template.chunked for template in posts(run))
    if lost and not sends:
        return _found(run, lost, chunks[lost[0]], as_sent[lost[0]], NOT_IN_LOAD)
    for name, other in chunks.items():
        if name in as_sent and as_sent[name].outcome == "pass" and other.outcome != "pass":
            why = (
                f"chunked, {name} is not answered as with a Content-Length ({other.detail}); this "
                "load does not send it so"
            )
            return unknown(__name__, KIND, why, exchange(other))
    tried = [name for name in (*lengths, *chunks) if name in as_sent]
    if not tried:
        return unknown(__name__, KIND, "no request with a body was answered before the load")
    wrong = [name for name in tried if as_sent[name].outcome != "pass"]
    if wrong:
        why = f"{names_of(wrong, run)} is answered wrong chunked and with a Content-Length"
        return unknown(__name__, KIND, why)
    claim = "requests with a body are answered alike chunked and with a Content-Length"
    return finding(__name__, KIND, Verdict.CLEAR, claim)


def _found(
    run: Run, hit: list[str], chunked: ProbeCheck, length: ProbeCheck, explains: float
) -> Finding:
    where = "" if explains > NOT_IN_LOAD else " (this load sends it with a Content-Length)"
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{names_of(hit, run)}, chunked: {chunked.detail}; with a Content-Length it is answered "
        f"right{where}",
        [*exchange(chunked, "chunked"), *exchange(length, "content_length")],
        "read the body to its end as the server's library gives it, not by the Content-Length "
        "header; `diagnose findings chunked_ignored` names the call",
        explains=explains,
    )
