"""Memory grows with the load to a size that ends in the out-of-memory killer.

Found when the memory guard had to stop the server; or when anonymous memory grew by 256 MiB and
more, and by half of the request body bytes or more that the server held at the time; or when it
grew by a gigabyte and was still growing at the end. A heap that grows to its limit and stays there
(a JVM's) is not a blow-up; growth in between is unknown.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import bodies_in_server, memory
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.units import GIB, MIB, format_bytes

KIND = Kind.SYMPTOM
NEEDS = ("samples_missed",)

# Buffers, pools and heaps of healthy servers under 512 connections stay below this.
CLEAR_GROWTH = 256 * MIB
LARGE_GROWTH = GIB
HELD_SHARE = 0.5
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
            "measure with fewer connections (-c) to see the slope; the causes below say what holds "
            "the memory",
            explains=1.0,
        )
    assert seen is not None
    said = (
        f"memory grew by {format_bytes(seen.growth)} to {format_bytes(seen.peak)} under "
        f"{run.manifest.connections} connections"
    )
    if seen.growth < CLEAR_GROWTH:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    with_bodies = held > 0 and seen.growth >= HELD_SHARE * held
    growing = seen.growth >= LARGE_GROWTH and seen.window_slope * DOUBLING_S > seen.growth
    if with_bodies or growing:
        reason = (
            f", as the {format_bytes(held)} of request bodies that it held"
            if with_bodies
            else f", and was still growing by {format_bytes(seen.window_slope)}/s"
        )
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            said + reason,
            rows,
            "the causes below say what holds the memory; memory per connection times the "
            "connections you expect is what the host needs",
            explains=min(1.0, seen.growth / run.manifest.host.memory_bytes + 0.1),
        )
    return unknown(__name__, KIND, f"{said}, and then stayed: a heap or pool may do that", rows)
