"""The same answer is made again from the start for every request.

Found when all answers of a request were the same, byte by byte, hundreds of times, and most of the
CPU time went into making them: a third or more into parsing what they are made of (a file, a
document, a template's source) although the requests bring nothing to parse, or four fifths into
writing them (a serializer, a template). A contract may ask for work in each request, and then a
serializer's share is what it asks for: below that share the answer is unknown and says so.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.work import NO_PROFILE, Share, short, work
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import TemplateResult
from diagnose.model.run import Run

KIND = Kind.CAUSE
NEEDS = ("client_saturated", "samples_missed", "connections_missing")
PROFILED = True
EXPLAINS = ("cpu_without_progress", "slower_than_reference")

# Parsing although nothing came to be parsed: healthy servers measured 0.00 to 0.02.
PARSING = 0.33
PARSING_CLEAR = 0.1
# Serializing 50 items measured 0.1 to 0.6 of healthy servers, in five languages.
MAKING = 0.8
MAKING_CLEAR = 0.4
# One answer again and again; fewer may be chance.
MIN_RESPONSES = 200
# Shorter answers cost nothing to make.
MIN_BODY = 512
# The same answers must be most of all.
SAME_SHARE = 0.5
MIN_NAMED = 0.6


def check(run: Run) -> Finding:
    """Found with the share, the function, and who called it."""
    load = run.load
    if load is None or load.responses < MIN_RESPONSES:
        return unknown(__name__, KIND, f"fewer than {MIN_RESPONSES} responses")
    known = [one for one in load.templates if one.distinct_bodies >= 0 and one.responses]
    if not known:
        why = "whether answers are the same was not told" if run.profiles else NO_PROFILE
        return unknown(__name__, KIND, why)
    same = [one for one in known if one.distinct_bodies == 1 and one.mean_body_bytes >= MIN_BODY]
    share_same = sum(one.responses for one in same) / load.responses
    rows = [
        Evidence("same_answers", share_same, "ratio", SAME_SHARE, "load.json"),
        Evidence("longest_same", _longest(same), "bytes", MIN_BODY, "load.json"),
    ]
    if share_same < SAME_SHARE:
        claim = "the answers differ, or are short"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    if _brings_bodies(run, same):
        return unknown(__name__, KIND, "the requests bring bodies, which have to be parsed", rows)
    done = work(run)
    if done is None:
        return unknown(__name__, KIND, NO_PROFILE, rows)
    parsing = done.largest("deserialization")
    making = done.largest("serialization", "template", "deserialization")
    rows += _evidence("parsing", parsing, PARSING) + _evidence("making", making, MAKING)
    for share, limit, doing in (
        (parsing, PARSING, "parsing what they are made of"),
        (making, MAKING, "making them"),
    ):
        if share is not None and share.share >= limit:
            called = f", called from {short(share.caller)}" if share.caller else ""
            return finding(
                __name__,
                KIND,
                Verdict.FOUND,
                f"all answers were the same, and {share.share:.0%} of the profiled CPU time went "
                f"into {doing} ({short(share.frame)}{called})",
                rows,
                "read and parse once, at the start; keep the finished bytes where the contract "
                "allows it, and drop them when what they are made of changes",
                explains=share.share,
            )
    spent = making.share if making is not None else 0.0
    parsed = parsing.share if parsing is not None else 0.0
    if spent <= MAKING_CLEAR and parsed <= PARSING_CLEAR:
        if done.named < MIN_NAMED:
            why = "the profile has no names for most samples"
            return unknown(__name__, KIND, why, rows)
        claim = f"making the answers took {spent:.0%} of the profiled CPU time"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    why = (
        f"all answers were the same, and {max(spent, parsed):.0%} of the CPU time went into making "
        "them: work that a contract may ask for; where it does not, keep the finished bytes"
    )
    return unknown(__name__, KIND, why, rows)


def _longest(same: list[TemplateResult]) -> float:
    return max((one.mean_body_bytes for one in same), default=0.0)


def _brings_bodies(run: Run, same: list[TemplateResult]) -> bool:
    """Most of these requests have a body of their own."""
    lengths = {each.name: each.payload_length for each in run.manifest.scenario.templates}
    with_body = sum(one.responses for one in same if lengths.get(one.name, 0) > MIN_BODY)
    return with_body > sum(one.responses for one in same) / 2


def _evidence(name: str, share: Share | None, limit: float) -> list[Evidence]:
    if share is None:
        return [Evidence(f"{name}_share", 0.0, "ratio", limit, "profiles")]
    rows = [
        Evidence(f"{name}_share", share.share, "ratio", limit, share.source),
        Evidence(f"{name}_function", share.frame, "", None, share.source),
    ]
    if share.caller:
        rows.append(Evidence(f"{name}_caller", share.caller, "", None, share.source))
    return rows
