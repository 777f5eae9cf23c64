"""Something of every request is kept: memory grows with each response, without an end in sight.

Found when anonymous memory grew on a straight line with the responses given, after the warm-up, by
32 MiB or more; as fast in the second half of the window as in the first; again when the same load
came a second time (the profiled window); and none of it was given back in the cool-down. A heap
that is collected rises in the same way until its collector runs: there the memory must also have
grown to several times what it was, more than such a heap keeps. For the JVM and .NET, whose heaps
grow up to a limit, one run decides nothing: unknown.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.memory_growth import Growth, growth, heap_factor
from diagnose.analysis.observe import bodies_in_server, lazy_heaps, unseen, usage
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.units import MIB, format_bytes

KIND = Kind.CAUSE
# Memory that grew has grown, whoever was the limit.
NEEDS = ("samples_missed",)
EXPLAINS = ("memory_blowup",)

# Healthy servers measured up to 6 MiB in a window (pools, arenas, a heap's steps).
MIN_GROWTH = 32 * MIB
CLEAR_GROWTH = 8 * MIB
# Leaks measured 0.99 and more; what levels off within the window stays below 0.95.
STRAIGHT = 0.97
# Second half of the window against the first, bytes per response. A curve that levels off, or a
# pool that is full soon, comes to less than half.
STEADY = 0.6
# The second load against the first: profilers and new connections move it; memory that is used
# again comes to nearly nothing.
AGAIN = 0.5
# Shares of the growth: kept in the cool-down; explained by bodies that were in flight.
KEPT = 0.8
BODIES = 0.3
# One response that keeps 10 MB is a leak too, but ten points make no line.
MIN_RESPONSES = 50


def check(run: Run) -> Finding:
    """Found with the bytes that each response leaves behind."""
    seen = growth(run)
    if seen is None:
        return unknown(__name__, KIND, "memory and responses were not both told over the window")
    if outside := unseen(run, usage(run)):
        return unknown(__name__, KIND, outside)
    grew = seen.line.slope * seen.responses
    rows = _rows(seen, grew)
    said = f"memory grew by {format_bytes(max(0.0, grew))} over {seen.responses:,.0f} responses"
    if grew < CLEAR_GROWTH:
        return finding(__name__, KIND, Verdict.CLEAR, f"{said} of the window", rows)
    if seen.responses < MIN_RESPONSES:
        return unknown(__name__, KIND, f"{said}, which are too few to make a line", rows)
    # What is used again, or levels off, is no leak, whatever it is.
    if seen.second.slope < STEADY * seen.line.slope:
        if seen.again is None or seen.again < AGAIN * seen.line.slope:
            claim = f"{said}, and levelled off"
            return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
        return unknown(__name__, KIND, f"{said}, unevenly", rows)
    if seen.again is not None and seen.again < AGAIN * seen.line.slope:
        why = f"{said}, and by {seen.again:.0f} bytes a response when the load came again"
        return finding(__name__, KIND, Verdict.CLEAR, why, rows)
    if doubt := _doubt(run, seen, grew):
        return unknown(__name__, KIND, f"{said}; {doubt}", rows)
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"every response left {format_bytes(seen.line.slope)} behind: {said}, on a straight line, "
        f"to {format_bytes(seen.last)}",
        rows,
        "find what is kept: two heap snapshots some thousand requests apart, compared (memray or "
        "tracemalloc, node --heapsnapshot-signal, go tool pprof -base, jcmd GC.class_histogram, "
        "heaptrack)",
        explains=min(1.0, grew / run.manifest.host.memory_bytes + 0.3),
    )


def _rows(seen: Growth, grew: float) -> list[Evidence]:
    source = "samples.jsonl"
    rows = [
        Evidence("growth_per_response", seen.line.slope, "bytes", None, source),
        Evidence("growth", grew, "bytes", MIN_GROWTH, source),
        Evidence("straightness_r2", seen.line.r2, "ratio", STRAIGHT, source),
        Evidence("second_half_per_response", seen.second.slope, "bytes", None, source),
    ]
    if seen.again is not None:
        rows.append(Evidence("again_per_response", seen.again, "bytes", None, source))
    if seen.kept is not None:
        rows.append(Evidence("kept_after_load", seen.kept, "bytes", None, source))
    return rows


def _doubt(run: Run, seen: Growth, grew: float) -> str:
    """Why growth that was seen may be no leak; '' when it is one."""
    if grew < MIN_GROWTH:
        return f"less than {format_bytes(MIN_GROWTH)}: repeat with a longer window (-d 30)"
    if seen.line.r2 < STRAIGHT:
        return "not on a straight line: repeat with a longer window (-d 30)"
    if seen.kept is not None and seen.kept - seen.began < KEPT * (seen.last - seen.began):
        return "after the load it was given back"
    window = run.phase("window")
    if window is not None and window.ended is not None:
        held = [row for row in bodies_in_server(run) if window.started <= row[0] <= window.ended]
        if held and abs(held[-1][1] - held[0][1]) > BODIES * grew:
            return "the bodies in flight changed by as much"
    if heaps := lazy_heaps(run):
        return (
            f"the heap of {', '.join(heaps)} grows until its limit, leak or not: repeat with a "
            "small one (-Xmx, DOTNET_GCHeapHardLimit) and a long window: a leak ends in errors"
        )
    factor = heap_factor(run)
    if factor > 1.0 and seen.last < factor * seen.began:
        return (
            f"a collected heap may hold {factor:.1f} times what is alive before it is collected "
            f"(it came to {seen.last / max(1, seen.began):.1f} times): repeat with a longer window "
            "(-d 30)"
        )
    return ""
