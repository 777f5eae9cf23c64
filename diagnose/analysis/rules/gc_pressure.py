"""Garbage collection takes a large part of the CPU time.

Found when collecting came to a fifth or more of the server's CPU time: by threads that do nothing
else (the JVM's, .NET's, told by their names), or by functions of the collector in the profile (Go,
V8, CPython, Ruby, OCaml, Erlang, PHP). Two things bring it about: much garbage for each request,
and a heap with little room above what is alive. Clear where there is no collector, or where it was
seen to take little; unknown where it cannot be seen.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import Usage, unseen, usage
from diagnose.analysis.work import NO_PROFILE, is_of_thread, short, work
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
NEEDS = ("client_saturated", "samples_missed", "connections_missing")
PROFILED = True
EXPLAINS = ("slow_tail", "stalls", "cpu_without_progress")

PRESSED = 0.2
CLEAR = 0.1
MIN_SAMPLES = 10
# Below this use of CPU the share says nothing about the load.
MIN_CORES = 0.1
# No collector that stops or competes: memory is freed as it is dropped.
WITHOUT = {"nginx", "rust"}
# Collectors with threads of their own, which tell without a profile.
BY_THREADS = {"jvm"}
# Profilers of a runtime that tell their collector's samples apart.
BY_PROFILER = {"inspector"}
# A profile that has names for fewer samples may hide it.
MIN_NAMED = 0.6


def check(run: Run) -> Finding:
    """Found with the share, and what it was seen by."""
    used = usage(run)
    if used is None or used.samples < MIN_SAMPLES or used.server_cores < MIN_CORES:
        return unknown(__name__, KIND, "the server hardly ran in the window")
    if outside := unseen(run, used):
        return unknown(__name__, KIND, outside)
    threads, names = _threads(used)
    done = work(run)
    frames = done.largest("gc") if done is not None else None
    rows = [Evidence("collector_threads", threads, "ratio", PRESSED, "samples.jsonl")]
    named = 0.0
    if done is not None:
        named = max(done.native, *(done.names.get(profiler, 0.0) for profiler in BY_PROFILER))
        share = frames.share if frames is not None else 0.0
        source = frames.source if frames is not None else "profiles"
        rows.append(Evidence("collector_frames", share, "ratio", PRESSED, source))
        rows.append(Evidence("samples_with_names", named, "ratio", MIN_NAMED, "profiles"))
    by_frames = frames.share if frames is not None else 0.0
    if max(threads, by_frames) >= PRESSED:
        who = f"threads {names}" if threads >= by_frames or frames is None else short(frames.frame)
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"collecting garbage took {max(threads, by_frames):.0%} of the server's CPU time "
            f"({who})",
            rows,
            "give the heap more room (`diagnose findings gc_pressure` names the setting), or make "
            "less garbage for each request: an allocation profile names who does",
            explains=max(threads, by_frames),
        )
    runtimes = set(run.manifest.launch.runtimes.values())
    said = f"collecting took {max(threads, by_frames):.0%} of the CPU time"
    if max(threads, by_frames) > CLEAR:
        return unknown(__name__, KIND, f"{said}: a heap twice as large decides", rows)
    if runtimes and runtimes <= WITHOUT:
        return finding(__name__, KIND, Verdict.CLEAR, "it has no collector", rows)
    if runtimes and runtimes <= BY_THREADS:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    # An interpreter's own profiler sees its collector nowhere, except V8's.
    if named >= MIN_NAMED:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    if done is None:
        return unknown(__name__, KIND, NO_PROFILE, rows)
    why = (
        "the collector of "
        f"{', '.join(sorted(runtimes - WITHOUT)) or 'this runtime'} can be seen in a profile of "
        "perf only, which was not there or had no names; a heap twice as large decides"
    )
    return unknown(__name__, KIND, why, rows)


def _threads(used: Usage) -> tuple[float, str]:
    """The share of CPU time of threads that only collect, and the busiest of their names."""
    rows = [thread for thread in used.threads if is_of_thread(thread.name, "gc")]
    spent = sum(thread.running for thread in rows)
    names = ", ".join(repr(thread.name) for thread in rows[:2])
    return (spent / used.server_cores if used.server_cores > 0 else 0.0), names
