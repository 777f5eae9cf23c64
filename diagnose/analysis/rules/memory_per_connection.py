"""Every connection costs memory from the moment that it is open, before any request.

Found when the process tree took at least 256 KiB of anonymous memory for each connection, and 64
MiB together, between the moment before the connections were opened and the moment before the first
request was sent. What is taken at the first request cannot be told from a heap that fills: growth
of that size under load is unknown, and a run with half as many connections decides.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.memory_growth import connecting
from diagnose.analysis.observe import memory, unseen, usage
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.units import MIB, format_bytes

KIND = Kind.CAUSE
# No request is part of it: whether the generator was the limit does not matter.
NEEDS = ("samples_missed",)
EXPLAINS = ("memory_blowup",)

# Idle connections of healthy servers measured 1 to 90 KiB: a parser, read and write buffers, a
# thread's touched stack. Four times that is more than a protocol needs.
EACH = 256 * 1024
EACH_CLEAR = 128 * 1024
# Below this a heap that grows a step, or a pool of threads that starts, would decide.
MIN_GROWTH = 64 * MIB
MIN_CONNECTIONS = 16


def check(run: Run) -> Finding:
    """Found with what opening the connections took."""
    opened = connecting(run)
    if opened is None:
        why = "memory was not sampled while connections were opened and no request was sent"
        return unknown(__name__, KIND, why)
    if outside := unseen(run, usage(run)):
        return unknown(__name__, KIND, outside)
    each = opened.growth / max(1, opened.connections)
    rows = [
        Evidence("growth_per_connection", each, "bytes", EACH, "samples.jsonl"),
        Evidence("growth", opened.growth, "bytes", MIN_GROWTH, "samples.jsonl"),
        Evidence("connections", opened.connections, "connections", None, "samples.jsonl"),
    ]
    said = (
        f"opening {opened.connections} connections took {format_bytes(max(0, opened.growth))} "
        f"({format_bytes(max(0.0, each))} each), before any request"
    )
    if opened.connections < MIN_CONNECTIONS:
        return unknown(__name__, KIND, f"only {opened.connections} connections were open", rows)
    large = each >= EACH and opened.growth >= MIN_GROWTH
    if large and opened.processes > 0:
        rows.append(Evidence("new_processes", opened.processes, "processes", 0, "samples.jsonl"))
        why = f"{said}; {opened.processes} processes started meanwhile, which share memory"
        return unknown(__name__, KIND, why, rows)
    if large:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            said,
            rows,
            "allocate buffers when the first byte of a request comes, small, and give them back "
            "with the answer; `diagnose findings memory_per_connection` names the settings",
            explains=min(1.0, opened.growth / run.manifest.host.memory_bytes + 0.2),
        )
    seen = memory(run)
    loaded = (seen.growth if seen else 0) / opened.connections
    rows.append(Evidence("growth_under_load_each", loaded, "bytes", EACH, "samples.jsonl"))
    if each >= EACH_CLEAR and opened.growth >= MIN_GROWTH / 2:
        return unknown(__name__, KIND, f"{said}: between the limits", rows)
    if loaded >= EACH and loaded * opened.connections >= MIN_GROWTH:
        why = (
            f"{said}; under load memory grew by {format_bytes(loaded)} for each connection, which "
            "a heap or bodies may do too: repeat with half the connections (-c), and see whether "
            "it is half"
        )
        return unknown(__name__, KIND, why, rows)
    return finding(__name__, KIND, Verdict.CLEAR, said, rows)
