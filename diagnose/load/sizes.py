"""The longest upload in several lengths on an idle server: does its time follow its length?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from diagnose.load.asking import Site, conversed, judged, told
from diagnose.load.check import compares_body
from diagnose.load.conversation import Piece, Seen
from diagnose.load.probe import pieces_of
from diagnose.load.requests import shown
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import RequestTemplate, tried_lengths

TIMES = 2
# Above this a step looks steeper than a straight line. A heap does that too: memory that it had
# already costs nothing, and new pages do (Go's io.ReadAll: 3.6 ms for 5 MiB, 51 ms for 20 MiB, each
# the best of six). Twice the longest length tells them apart: what is quadratic takes four times as
# long again.
STEEP = 5.5
FURTHER = 2
# The whole check ends when one body took this long: the next would take it several times.
PATIENCE_S = 3.0


def sizes(site: Site, templates: Sequence[RequestTemplate]) -> Iterator[ProbeCheck]:
    """One check, named `sizes`. times_s: for each of `tried_lengths`, as far as it went, the better
    of two; where the last step is steep, for twice the longest too, if it is answered right.

    templates: uploads that were answered right. The right answer is the number of bytes, or any.
    """
    longest = max(templates, key=lambda each: each.body_length, default=None)
    if longest is None or not tried_lengths(longest.body_length):
        return
    counts = longest.expect.body == str(longest.body_length)
    if compares_body(longest.expect) and not counts:
        return
    times: list[float] = []
    seen: Seen | None = None
    tried = list(tried_lengths(longest.body_length))
    for place in range(len(tried) + 1):
        further = place == len(tried)
        if further and not _steep(times):
            break
        length = tried[-1] * FURTHER if further else tried[place]
        body = str(length) if counts else None
        template = replace(longest, body_length=length, expect=replace(longest.expect, body=body))
        request = site.prepared(template)
        pieces = [Piece(piece) for piece in pieces_of(request)]
        best = float("inf")
        for _ in range(TIMES):
            asked = conversed(site, pieces, patience_s=site.timeout_s)
            problem = judged(template, request, asked)
            if problem and further:
                # More than it takes: what was seen before it stands.
                break
            seen = asked
            if problem:
                yield told("sizes", longest, shown(request), seen, problem, times_s=tuple(times))
                return
            best = min(best, seen.elapsed_s)
            if best > PATIENCE_S:
                break
        if best < float("inf"):
            times.append(best)
        if best > PATIENCE_S:
            break
    if seen is not None:
        sent = shown(site.prepared(longest))
        yield told("sizes", longest, sent, seen, "", times_s=tuple(times))


def _steep(times: Sequence[float]) -> bool:
    """The last step took longer than a straight line by so much that it has to be sure."""
    return len(times) > 1 and times[-1] > STEEP * times[-2]
