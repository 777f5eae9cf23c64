"""Request bodies are held in memory whole until they are answered.

Found when anonymous memory grew by at least 60 % of the body bytes that the server had read and not
answered at the same time (1.0: buffered once; 2.0: copied once more; 0: streamed). Bytes that wait
in the kernel's socket buffers are not the server's and are subtracted. Allocators keep memory, so
the peak of growth is held against the peak of bytes; a second point (fewer connections, smaller
bodies) tells fixed buffers from a slope. Clear where the first bodies of all connections, all of
them in the server at once, added next to nothing: what grows with the answers is a leak, or a heap.
Unknown for the JVM and .NET, whose heaps keep garbage.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.first_bodies import STREAMED, first_bodies
from diagnose.analysis.observe import bodies_in_server, lazy_heaps, memory, unseen, usage
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.units import MIB, format_bytes

KIND = Kind.CAUSE
NEEDS = ("samples_missed",)
EXPLAINS = ("memory_blowup",)

# Measured growth per byte in flight: buffering servers 1.0 to 1.9, streaming ones 0.1 to 0.3 (the
# garbage of a collected heap is the 0.3).
BUFFERED = 0.6
# Below this the buffers that every server has (sockets, pools, heap) decide the ratio.
MIN_BYTES = 16 * MIB
# Servers that stream keep up to about a megabyte for each connection.
MIN_BODY = 4 * MIB
MIN_GROWTH = 16 * MIB


def check(run: Run) -> Finding:
    """Found with growth, bytes in flight and their ratio."""
    bodies = [template.body_length for template in run.manifest.scenario.templates]
    if not any(length >= MIN_BODY for length in bodies):
        return unknown(__name__, KIND, "the scenario sends no large bodies: try upload-20mb")
    seen = memory(run)
    rows_in_time = bodies_in_server(run)
    if seen is None or not rows_in_time:
        return unknown(__name__, KIND, "memory or sockets were not sampled under load")
    held = max(row[1] for row in rows_in_time)
    ratio = seen.growth / held if held else 0.0
    rows = [
        Evidence("growth_per_body_byte", ratio, "ratio", BUFFERED, "samples.jsonl"),
        Evidence("growth", seen.growth, "bytes", MIN_GROWTH, "samples.jsonl"),
        Evidence("bodies_in_server", held, "bytes", MIN_BYTES, "load.jsonl"),
    ]
    said = (
        f"memory grew by {format_bytes(seen.growth)} while the server held "
        f"{format_bytes(held)} of unanswered bodies ({ratio:.2f} per byte)"
    )
    if outside := unseen(run, usage(run)):
        return unknown(__name__, KIND, outside, rows)
    if run.manifest.launch.attached and seen.baseline >= held and ratio < BUFFERED:
        why = (
            f"the server held {format_bytes(seen.baseline)} before the load: what it takes for "
            "bodies may be there already; launch it fresh with `diagnose run`"
        )
        return unknown(__name__, KIND, why, rows)
    if held < MIN_BYTES:
        return unknown(__name__, KIND, f"only {format_bytes(held)} of bodies were in flight", rows)
    first = first_bodies(run)
    if first is not None:
        row = Evidence(
            "growth_per_first_body_byte", first.ratio, "ratio", STREAMED, "samples.jsonl"
        )
        rows.append(row)
        if ratio > STREAMED and first.streamed:
            claim = (
                f"the first {format_bytes(first.held)} of bodies, all in the server at once, added "
                f"{format_bytes(first.growth)} of memory: what came later is not theirs"
            )
            return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    if ratio > STREAMED and (runtimes := lazy_heaps(run)):
        return unknown(
            __name__,
            KIND,
            f"{said}; but the heap of {', '.join(runtimes)} keeps garbage: repeat with a heap "
            "below the bodies in flight (-Xmx, DOTNET_GCHeapHardLimit): a server that streams "
            "passes, one that buffers fails",
            rows,
        )
    if ratio >= BUFFERED and seen.growth >= MIN_GROWTH:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            said,
            rows,
            "read the body in pieces and drop each one; `diagnose findings body_buffered` names "
            "the streaming call of each framework",
            explains=min(1.0, held / seen.growth),
        )
    if ratio <= STREAMED:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    return unknown(__name__, KIND, f"{said}: between the limits", rows)
