"""The server burns CPU time under load and gets nothing done.

Found when the server used a core or more over the window and nothing came of it: not one response,
and less than a gigabyte of request bodies taken for each 10 CPU seconds (a healthy server takes one
in a second). A server that is only slow answers something, and is not meant: the CPU time of each
response is then a matter of the profile. Nor is a server that spins while nothing is asked of it
(busy_spin).
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import not_told
from diagnose.analysis.observe import Usage, unseen, usage
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.units import GIB, format_bytes

KIND = Kind.SYMPTOM
NEEDS = ("samples_missed",)

# One core's worth: below it a server that answers nothing is waiting rather than working.
BURNED_CORES = 1.0
# Taking a gigabyte of body from the loopback costs 0.2 to 1 CPU seconds, copying it once more the
# same again; ten times that is not taking bodies.
BURNED_S_PER_GIB = 10.0
# A window shorter than this says nothing.
MIN_S = 0.5


def check(run: Run) -> Finding:
    """Found with the CPU time and what came of it."""
    used = usage(run)
    if used is None or run.load is None or used.seconds < MIN_S:
        return unknown(__name__, KIND, "the server was hardly sampled in the window")
    if outside := unseen(run, used):
        return unknown(__name__, KIND, outside)
    load = run.load
    answered = load.responses + load.late_responses
    taken = 0 if not_told(run) else max(load.body_sent, load.bytes_sent)
    cpu_s = used.server_cores * load.duration_s
    per_gib = cpu_s / (taken / GIB) if taken else 0.0
    rows = [
        Evidence("server_cpu", used.server_cores, "cores", BURNED_CORES, "samples.jsonl"),
        Evidence("responses", load.responses, "responses", 0, "load.json"),
        Evidence("bytes_sent", taken, "bytes", None, "load.json"),
    ]
    large = run.manifest.scenario.has_large_bodies
    if large and taken:
        rows.append(Evidence("cpu_per_gib", per_gib, "s", BURNED_S_PER_GIB, "load.json"))
    progress = load.responses > 0 or (large and taken > 0 and per_gib < BURNED_S_PER_GIB)
    if not progress and used.server_cores >= BURNED_CORES:
        return _burned(run, used, taken, answered, rows)
    if load.responses == 0 and not progress:
        claim = f"nothing was answered, but the server used {used.server_cores:.2f} cores only"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    claim = f"{load.responses:,} responses for {cpu_s:.1f} CPU seconds"
    return finding(__name__, KIND, Verdict.CLEAR, claim, rows)


def _burned(run: Run, used: Usage, taken: int, answered: int, rows: list[Evidence]) -> Finding:
    load = run.load
    assert load is not None
    late = f" ({answered} came after the window)" if answered else ""
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"the server used {used.server_cores:.2f} cores for {load.duration_s:.0f} s and answered "
        f"nothing{late}, with {format_bytes(taken)} sent to it",
        rows,
        "see where the CPU time goes (the profile, or `perf top -p PID`): copies, garbage "
        "collection, a busy wait; then repeat with a tenth of the connections, or smaller bodies",
        explains=1.0,
    )
