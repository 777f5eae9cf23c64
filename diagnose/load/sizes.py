"""The longest upload in several lengths on an idle server: does its time follow its length?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from diagnose.load.asking import Site, conversed, judged, told
from diagnose.load.check import compares_body
from diagnose.load.conversation import Piece
from diagnose.load.probe import pieces_of
from diagnose.load.requests import shown
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import RequestTemplate, tried_lengths

TIMES = 2
# The whole check ends when one body took this long: the next would take it several times.
PATIENCE_S = 3.0


def sizes(site: Site, templates: Sequence[RequestTemplate]) -> Iterator[ProbeCheck]:
    """One check, named `sizes`. times_s: for each of `tried_lengths`, as far as it went, the better
    of two.

    templates: uploads that were answered right. The right answer is the number of bytes, or any.
    """
    longest = max(templates, key=lambda each: each.body_length, default=None)
    if longest is None or not tried_lengths(longest.body_length):
        return
    counts = longest.expect.body == str(longest.body_length)
    if compares_body(longest.expect) and not counts:
        return
    times: list[float] = []
    seen = None
    for length in tried_lengths(longest.body_length):
        body = str(length) if counts else None
        template = replace(longest, body_length=length, expect=replace(longest.expect, body=body))
        request = site.prepared(template)
        pieces = [Piece(piece) for piece in pieces_of(request)]
        best = float("inf")
        for _ in range(TIMES):
            seen = conversed(site, pieces, patience_s=site.timeout_s)
            if problem := judged(template, request, seen):
                yield told("sizes", longest, shown(request), seen, problem, times_s=tuple(times))
                return
            best = min(best, seen.elapsed_s)
            if best > PATIENCE_S:
                break
        times.append(best)
        if best > PATIENCE_S:
            break
    if seen is not None:
        sent = shown(site.prepared(longest))
        yield told("sizes", longest, sent, seen, "", times_s=tuple(times))
