"""Memory grows with the load to a size that ends in the out-of-memory killer.

Found when the memory guard had to stop the server; or when anonymous memory grew by 256 MiB and
more, and by 0.6 to 4 times the request body bytes that the server held at the time; or when it
grew by a gigabyte and was still growing at the end. A heap that grows to its limit and stays there
is not a blow-up; growth in between is unknown, as is that of runtimes whose heap keeps garbage
(JVM, .NET) and still has room.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import (
    MemoryView,
    bodies_in_server,
    lazy_heaps,
    memory,
    unseen,
    usage,
)
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.units import GIB, MIB, format_bytes

KIND = Kind.SYMPTOM
# Growth that was seen is real; samples that were missed could only show more.
NEEDS: tuple[str, ...] = ()

# Buffers, pools and heaps of healthy servers under 512 connections stay below this.
CLEAR_GROWTH = 256 * MIB
LARGE_GROWTH = GIB
# As for body_buffered: below this it is not the bodies alone that grow.
HELD_SHARE = 0.6
# Bodies that are buffered, copied and kept as garbage measured up to 2.7; more is something else.
MOST_COPIES = 4.0
# Growth that would double what it has grown by within a minute.
DOUBLING_S = 60.0


def check(run: Run) -> Finding:
    """Found with baseline, peak and what was in flight."""
    guard = run.manifest.guard
    seen = memory(run)
    if seen is None and not guard.tripped:
        return unknown(__name__, KIND, "memory was not sampled before and under load")
    rows: list[Evidence] = []
    held = 0.0
    if seen is not None:
        held = max((row[1] for row in bodies_in_server(run)), default=0.0)
        rows = [
            Evidence("growth", seen.growth, "bytes", CLEAR_GROWTH, "samples.jsonl"),
            Evidence("baseline", seen.baseline, "bytes", None, "samples.jsonl"),
            Evidence("peak", seen.peak, "bytes", None, "samples.jsonl"),
            Evidence("bodies_in_server", held, "bytes", None, "load.jsonl"),
        ]
    if guard.tripped:
        rows.append(Evidence("at_stop", guard.at_bytes, "bytes", guard.limit_bytes, "run.json"))
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"the server was stopped at {format_bytes(guard.at_bytes)}, over the limit of "
            f"{format_bytes(guard.limit_bytes)} (--memory-limit)",
            rows,
            "measure with fewer connections (-c) to see the slope; the causes found beside this "
            "say what holds the memory",
            explains=1.0,
        )
    assert seen is not None
    said = (
        f"memory grew by {format_bytes(seen.growth)} to {format_bytes(seen.peak)} under "
        f"{run.manifest.connections} connections"
    )
    if outside := unseen(run, usage(run)):
        return unknown(__name__, KIND, outside, rows)
    if seen.growth < CLEAR_GROWTH:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    if runtimes := lazy_heaps(run):
        rows.append(Evidence("runtime", ", ".join(runtimes), "", None, "run.json"))
    if runtimes and not _growing(seen):
        return unknown(
            __name__,
            KIND,
            f"{said}: the heap of {', '.join(runtimes)} keeps garbage until it must collect; "
            "repeat with a heap below the bodies in flight (-Xmx, DOTNET_GCHeapHardLimit) and see "
            "whether it fails",
            rows,
        )
    with_bodies = HELD_SHARE * held <= seen.growth <= MOST_COPIES * held
    if with_bodies or _growing(seen):
        per_response = seen.growth / max(1, run.load.responses if run.load else 0)
        rows.append(Evidence("growth_per_response", per_response, "bytes", None, "load.json"))
        reason = (
            f", as the {format_bytes(held)} of request bodies that it held"
            if with_bodies and not runtimes
            else f", and was still growing by {format_bytes(seen.window_slope)}/s"
        )
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            said + reason,
            rows,
            _next_step(with_bodies),
            explains=min(1.0, seen.growth / run.manifest.host.memory_bytes + 0.1),
        )
    return unknown(__name__, KIND, f"{said}, and then stayed: a heap or pool may do that", rows)


def _growing(seen: MemoryView) -> bool:
    """By a gigabyte so far, and still at a rate that would double it within a minute."""
    return seen.growth >= LARGE_GROWTH and seen.window_slope * DOUBLING_S > seen.growth


def _next_step(with_bodies: bool) -> str:
    if with_bodies:
        return (
            "the causes found beside this say what holds the memory; memory per connection times "
            "the connections you expect is what the host needs"
        )
    return (
        "load the same process again (`diagnose attach`, twice): memory that grows each time is a "
        "leak; take a heap profile (memray, node --heapsnapshot-signal, go tool pprof, jcmd "
        "GC.class_histogram)"
    )
