"""Memory that the load added is still held when it is over, and it is not the allocator's.

Most allocators and collected heaps keep what they once had, for the next load: that memory does
not fall is no finding by itself. Found only where more is kept than could ever have been in use at
one time (what all connections, requests and answers in flight need, many times over), where it was
taken bit by bit in proportion to the responses until it was full, and where no collector is at
work: a cache, a history, a pool that fills. Otherwise unknown, and the same load again decides: a
peak that stays the same is memory that is used again, one that rises is a leak.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.memory_growth import Growth, fitted, growth, heap_factor, responses
from diagnose.analysis.observe import lazy_heaps, measured_ticks, unseen, usage
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.units import MIB, format_bytes

KIND = Kind.CAUSE
NEEDS = ("samples_missed",)

# Pools, imported code, connection buffers of healthy servers measured up to 40 MiB.
MIN_KEPT = 64 * MIB
KEPT_SHARE = 0.7
CLEAR_SHARE = 0.3
# What may be in use at one time, generously: for each connection, for each process, and copies of
# what is in flight.
EACH_CONNECTION = 256 * 1024
EACH_PROCESS = 16 * MIB
COPIES = 16
# Filled with the responses: a line through the way up. A step (a module that is loaded, a pool that
# is made) has no such way.
STRAIGHT = 0.9
MIN_POINTS = 5
# Full: of the whole growth the second half of the window adds less than this.
STILL_GROWING = 0.15


def check(run: Run) -> Finding:
    """Found with what is kept, against what could have been in use."""
    seen = growth(run)
    if seen is None or seen.kept is None:
        return unknown(__name__, KIND, "memory was not sampled before, under and after the load")
    if outside := unseen(run, usage(run)):
        return unknown(__name__, KIND, outside)
    grew, kept = seen.peak - seen.before, seen.kept - seen.before
    used = in_use(run)
    rows = [
        Evidence("kept", kept, "bytes", MIN_KEPT, "samples.jsonl"),
        Evidence("growth", grew, "bytes", None, "samples.jsonl"),
        Evidence("in_use_at_most", used, "bytes", None, "load.json"),
    ]
    # A profiled load comes after the one that growth is measured in, and may add more.
    said = (
        f"the load added {format_bytes(max(0, grew))}, and {format_bytes(max(0, kept))} more than "
        "before it were held after it"
    )
    if kept < MIN_KEPT or kept < CLEAR_SHARE * grew:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    if doubt := _doubt(run, seen, kept, grew, used):
        why = f"{said}; {doubt}: load the same process again (`diagnose attach`): a peak that "
        return unknown(__name__, KIND, why + "stays the same is memory that is used again", rows)
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{said}, {kept / used:.1f} times what could have been in use at once, and taken bit by "
        "bit with the responses until it was full",
        rows,
        "look for a cache, history or pool without a small limit, or with one that is meant for "
        "one process and taken by each worker; a heap snapshot after the load names it",
        explains=min(1.0, kept / run.manifest.host.memory_bytes + 0.1),
    )


def in_use(run: Run) -> float:
    """Bytes that connections, processes and what is in flight can have needed at one time."""
    load = run.load
    each = (
        (load.bytes_received + load.bytes_sent) / load.responses if load and load.responses else 0
    )
    in_flight = run.manifest.connections * run.manifest.scenario.pipeline
    window = run.samples_in("window")
    processes = len(window[-1].processes) if window else 1
    return (
        run.manifest.connections * EACH_CONNECTION
        + processes * EACH_PROCESS
        + COPIES * in_flight * each
    )


def _doubt(run: Run, seen: Growth, kept: int, grew: int, used: float) -> str:
    """Why kept memory may be the allocator's; '' when it is not."""
    if any(template.body_length for template in run.manifest.scenario.templates):
        return "allocators keep what bodies needed"
    runtimes = sorted(set(run.manifest.launch.runtimes.values()))
    if lazy_heaps(run) or heap_factor(run) > 1.0:
        return f"the heap of {', '.join(runtimes) or 'this runtime'} is collected, and kept"
    if kept < KEPT_SHARE * grew:
        return "a part of it was given back"
    if seen.second.slope * seen.responses / 2 > STILL_GROWING * grew:
        return "it was still growing when the load ended (memory_leak)"
    if kept < used:
        return "as much may have been in use at one time, and allocators keep it"
    if not _filled(run, seen):
        return "it came in a step, and not with the responses"
    return ""


def _filled(run: Run, seen: Growth) -> bool:
    """The memory rose in proportion to the responses, up to nine tenths of its peak."""
    series, ticks = responses(run), measured_ticks(run)
    if series is None:
        return False
    points: list[tuple[float, float]] = []
    full = seen.before + 0.9 * (seen.peak - seen.before)
    for sample in run.samples:
        if sample.t >= ticks[0].t:
            points.append((series.at(sample.t), float(sample.held)))
            if sample.held >= full:
                break
    line = fitted([point for point in points if point[0] > 0])
    return line is not None and line.points >= MIN_POINTS and line.r2 >= STRAIGHT
