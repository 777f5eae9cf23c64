"""Request bodies are held in memory twice or more until they are answered.

Found when anonymous memory grew by 1.7 bytes and more for each body byte that the server had read
and not answered (1.0: held once; 0: streamed). Runtimes that collect garbage also hold what they
have dropped, so there only the wave counts: the first bodies of all connections, before any answer,
when there is no garbage of bodies but what copying them made. Unknown for the JVM and .NET, whose
heaps grow as they like. A copy that lives for a moment only does not show in memory; a profile
shows its time.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.first_bodies import first_bodies
from diagnose.analysis.memory_growth import heap_factor
from diagnose.analysis.observe import bodies_in_server, lazy_heaps, memory, unseen, usage
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.units import MIB, format_bytes

KIND = Kind.CAUSE
NEEDS = ("samples_missed",)
EXPLAINS = ("memory_blowup",)

# Servers that hold a body once measured 1.0 to 1.4 (what a buffer has beyond its content; Ruby's
# strings, which double, once 1.71), those that hold it twice 1.9 to 2.7.
COPIED = 1.8
ONCE = 1.45
MIN_BYTES = 32 * MIB
# Buffers for each connection of up to a megabyte must not decide.
MIN_BODY = 4 * MIB


def check(run: Run) -> Finding:
    """Found with growth, bytes in flight and their ratio."""
    bodies = [template.body_length for template in run.manifest.scenario.templates]
    if not any(length >= MIN_BODY for length in bodies):
        return unknown(__name__, KIND, "the scenario sends no large bodies: try upload-20mb")
    seen = memory(run)
    points = bodies_in_server(run)
    if seen is None or not points:
        return unknown(__name__, KIND, "memory or sockets were not sampled under load")
    held = max(row[1] for row in points)
    ratio = seen.growth / held if held else 0.0
    collected = heap_factor(run) > 1.0
    if collected:
        wave = run.phase("wave")
        span = (wave.started, wave.ended or wave.started) if wave else (0.0, 0.0)
        points = [row for row in points if span[0] <= row[0] <= span[1]]
        if ratio > ONCE and not points:
            why = "no phase in which all first bodies were in flight, without garbage of others"
            return unknown(__name__, KIND, why)
        if points:
            held = max(row[1] for row in points)
            ratio = (max(row[2] for row in points) - seen.baseline) / held if held else 0.0
    rows = [
        Evidence("growth_per_body_byte", ratio, "ratio", COPIED, "samples.jsonl"),
        Evidence("growth", ratio * held, "bytes", None, "samples.jsonl"),
        Evidence("bodies_in_server", held, "bytes", MIN_BYTES, "load.jsonl"),
    ]
    said = (
        f"memory grew by {format_bytes(ratio * held)} while the server held "
        f"{format_bytes(held)} of unanswered bodies ({ratio:.2f} per byte)"
    )
    if outside := unseen(run, usage(run)):
        return unknown(__name__, KIND, outside, rows)
    if held < MIN_BYTES:
        return unknown(__name__, KIND, f"only {format_bytes(held)} of bodies were in flight", rows)
    if run.manifest.launch.attached and seen.baseline >= held and ratio < COPIED:
        why = f"{format_bytes(seen.baseline)} were held before: launch it fresh (`diagnose run`)"
        return unknown(__name__, KIND, why, rows)
    first = first_bodies(run)
    if ratio > ONCE and first is not None and first.streamed:
        claim = f"{said}, but the first ones added {first.ratio:.2f} per byte: they are streamed"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    if ratio > ONCE and (heaps := lazy_heaps(run)):
        why = f"{said}; but the heap of {', '.join(heaps)} keeps garbage (body_buffered says more)"
        return unknown(__name__, KIND, why, rows)
    if ratio >= COPIED:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{said}: each is there about {ratio:.0f} times",
            rows,
            "keep pieces as they come, or one buffer of the announced length, not both; better "
            "neither: `diagnose findings body_copied` names the calls",
            explains=min(1.0, 1 - 1 / ratio),
        )
    if ratio <= ONCE:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    return unknown(__name__, KIND, f"{said}: between the limits", rows)
