"""A request with a body is answered right only when it says what the body is.

Found when a request of the load without a Content-Type is answered wrong on the idle server, twice,
and the same request with one is answered right. The requests of the benchmark carry none. Unknown
where it is the other way round, because the load does not send that form.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.probed import exchange, named, names_of, not_asked, share
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
# Seen on the idle server, with nothing but the header changed.
NEEDS: tuple[str, ...] = ()
EXPLAINS = ("wrong_answers", "errors")


def check(run: Run) -> Finding:
    """Found with the media type that makes the difference."""
    if why := not_asked(run, bodies=True):
        return unknown(__name__, KIND, why)
    as_sent = named(run, "short_body", "plain")
    typed, bare = named(run, "with_content_type"), named(run, "without_content_type")
    hit = [
        name
        for name, other in typed.items()
        if name in as_sent and as_sent[name].outcome != "pass" and other.outcome == "pass"
    ]
    if hit:
        name = hit[0]
        media_type = typed[name].detail.partition(":")[0]
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{names_of(hit, run)} without a Content-Type: {as_sent[name].detail}; the same with "
            f"Content-Type {media_type} is answered right",
            [*exchange(as_sent[name], "without"), *exchange(typed[name], "with")],
            "read the body whatever its Content-Type is, or whether there is one; "
            "`diagnose findings content_type_dependent` names the setting",
            explains=share(hit, run),
        )
    for name, other in [*typed.items(), *bare.items()]:
        if name in as_sent and as_sent[name].outcome == "pass" and other.outcome != "pass":
            form = "with another Content-Type" if name in typed else "without its Content-Type"
            why = (
                f"{name} is answered right as the load sends it; {form} it is not "
                f"({other.detail}), which this load does not do"
            )
            return unknown(__name__, KIND, why, exchange(other))
    both = [name for name in (*typed, *bare) if name in as_sent]
    if not both:
        return unknown(__name__, KIND, "no request with a body was answered before the load")
    wrong = [name for name in both if as_sent[name].outcome != "pass"]
    if wrong:
        why = f"{names_of(wrong, run)} is answered wrong with any Content-Type and without"
        return unknown(__name__, KIND, why)
    claim = "requests with a body are answered alike with and without a Content-Type"
    return finding(__name__, KIND, Verdict.CLEAR, claim)
