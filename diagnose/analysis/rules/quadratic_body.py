"""The time for a request body grows faster than its length: it is copied again with every piece.

A handler that appends each piece to a string, or to a buffer of exactly the right size, copies all
that came before: ten times the bytes take a hundred times as long. Found when an upload that is
four times as long took more than eight times as long on the idle server, by more than what noise
does, and one that is twice as long again took nearly three times as long or more: a heap that takes
new pages for a longer body looks steep once or twice, and not from the shortest to the longest,
which is asked for as well. Told from the lengths that are tried before
the load, or from the templates of the scenario where they have several lengths.
"""

from __future__ import annotations

import math

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.probed import named
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.model.scenario import tried_lengths
from diagnose.units import format_bytes, format_seconds

KIND = Kind.CAUSE
# One request at a time on an idle server: nothing of the load is part of it.
NEEDS: tuple[str, ...] = ()
EXPLAINS = ("slow_tail", "unfair", "cpu_without_progress", "memory_blowup")

# Growth of the time with the length, as a power: 1 for streaming and for buffering, 2 for copying
# all each time. A part that does not depend on the length makes it smaller, a cache that is left
# makes it larger: linear servers measured 0.4 to 1.2, and once 1.6 from the last but one length to
# the last; from the first to the last 1.2 at most, servers that copy 1.99 to 2.3.
QUADRATIC = 1.5
LINEAR = 1.3
# Twice the longest length comes after it where the step to it was steep.
FURTHER = 2
# New pages cost a heap some 0.3 ms for each MiB, copies of a heap that grows five times that: 50 ms
# for 20 MiB. Longer than this no heap takes.
BEYOND_A_HEAP_S = 1.0
# Below this a timer, a scheduler or a collection decides.
MIN_SECONDS = 0.05


def check(run: Run) -> Finding:
    """Found with the power, and the times that it was made from."""
    bodies = [template.body_length for template in run.manifest.scenario.templates]
    if not any(len(tried_lengths(length)) > 1 for length in bodies):
        return unknown(__name__, KIND, "the scenario sends no large bodies: try upload-20mb")
    points = timed_lengths(run)
    if len(points) < 2:
        return unknown(__name__, KIND, "no upload was answered right in two lengths")
    (short, quick), (long, slow) = points[-2], points[-1]
    power = _power(points[-2], points[-1])
    whole = _power(points[0], points[-1])
    rows = [
        Evidence("power_of_length", power, "", QUADRATIC, "run.json"),
        Evidence("power_over_all_lengths", whole, "", QUADRATIC, "run.json"),
        Evidence("longest_took", slow, "s", MIN_SECONDS, "run.json"),
        *(Evidence(f"took_{length}", seconds, "s", None, "run.json") for length, seconds in points),
    ]
    said = (
        f"{format_bytes(long)} took {format_seconds(slow)}, {format_bytes(short)} "
        f"{format_seconds(quick)} on the idle server: {slow / quick:.1f} times as long for "
        f"{long / short:.0f} times the bytes"
    )
    if slow < MIN_SECONDS and power > LINEAR:
        return unknown(__name__, KIND, f"{said}, which is too short to tell: longer bodies", rows)
    if power >= QUADRATIC and long <= max(bodies) and slow < BEYOND_A_HEAP_S:
        why = f"{said}; a heap that grows does that once, and twice the length was not answered"
        return unknown(__name__, KIND, why, rows)
    if power >= QUADRATIC and whole < QUADRATIC:
        shortest, least = points[0]
        why = (
            f"{said}, but {format_bytes(shortest)} took {format_seconds(least)}: over all lengths "
            "that is no square, and a heap that grows has such steps"
        )
        return unknown(__name__, KIND, why, rows)
    if power >= QUADRATIC:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            said,
            rows,
            "keep the pieces in a list and join them once, or write into one buffer; better, drop "
            "each piece when it is used",
            explains=min(1.0, 1 - long / short * quick / slow),
        )
    if power <= LINEAR:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    why = f"{said}: between the limits; a run with a quarter of the body decides (--path, TOML)"
    return unknown(__name__, KIND, why, rows)


def _power(first: tuple[int, float], last: tuple[int, float]) -> float:
    """Of the length, that the time grew with from one to the other."""
    return math.log(last[1] / first[1]) / math.log(last[0] / first[0])


def timed_lengths(run: Run) -> list[tuple[int, float]]:
    """(length, seconds) of uploads on the idle server, shortest first."""
    for check in named(run, "sizes").values():
        template = next(
            (one for one in run.manifest.scenario.templates if one.name == check.template), None
        )
        if template is not None and len(check.times_s) >= 2:
            tried = list(tried_lengths(template.body_length))
            # Twice the longest was tried where the last step looked steep.
            tried.append(tried[-1] * FURTHER)
            return list(zip(tried, check.times_s, strict=False))
    return []
