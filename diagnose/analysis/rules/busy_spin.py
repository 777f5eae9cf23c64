"""A thread uses a core although nothing is asked of the server.

Found when one and the same thread was busy, running or waiting for a core, for at least 90 % of the
time both before the load and at the end of the cool-down after it. Work of the start-up and work
that a load leaves behind decay; what is there at both ends is a loop that never sleeps: polling
without a timeout, a descriptor that is always ready, a spinning lock. Helpers of a runtime
(compilers, collectors) are not meant.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.unloaded import COOLDOWN_TAIL_S, IDLE_TAIL_S, Quiet, quiet
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
# Nothing of the load is part of it.
NEEDS = ("samples_missed",)

# A loop that never sleeps measured 0.98 and more; timers, reloaders and health checks 0.00 to 0.05.
SPINNING = 0.9
QUIET = 0.2


def check(run: Run) -> Finding:
    """Found with the thread, and its share before and after the load."""
    before = quiet(run, "idle", IDLE_TAIL_S)
    after = quiet(run, "cooldown", COOLDOWN_TAIL_S)
    if before is None:
        return unknown(__name__, KIND, "the server was not sampled before the load")
    rows = _rows(before, after)
    served = [
        sample.sockets.established
        for sample in run.samples_in("idle")
        if sample.sockets is not None
    ]
    if run.manifest.launch.attached and any(served):
        rows.append(Evidence("connections_before", max(served), "connections", 0, "samples.jsonl"))
        why = "others were connected to the server before the load: it may have been asked for more"
        return unknown(__name__, KIND, why, rows)
    if before.cores < QUIET and (after is None or after.cores < QUIET):
        claim = f"{before.cores:.2f} cores without load"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    if after is None:
        return unknown(
            __name__, KIND, "busy before the load; the run ended before it was over", rows
        )
    if before.cores < QUIET:
        why = f"quiet before the load; {after.cores:.2f} cores were busy after it"
        return unknown(__name__, KIND, f"{why}: work that it left, or a loop that it began", rows)
    if after.cores < QUIET:
        claim = f"quiet after the load; the {before.cores:.2f} cores before it were the start"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    spinning = {
        key: min(busy, after.busy(key))
        for key, (busy, _) in before.threads.items()
        if min(busy, after.busy(key)) >= SPINNING
    }
    if spinning:
        key = max(spinning, key=lambda one: spinning[one])
        busy, name = before.threads[key]
        more = f", and {len(spinning) - 1} others like it" if len(spinning) > 1 else ""
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"thread {name!r} (PID {key[0]}){more} was busy {busy:.0%} of the time "
            f"before the load and {after.busy(key):.0%} after it; {after.cores:.2f} cores in all",
            rows,
            "see what it does: `py-spy dump`, `perf top -p PID`, `strace -c -p PID` for a second; "
            "wait with a timeout or for an event instead",
            explains=min(0.9, after.cores / max(1, len(run.manifest.host.server_cpus))),
        )
    why = f"{before.cores:.2f} cores before and {after.cores:.2f} after the load, by no one thread"
    return unknown(__name__, KIND, f"{why} all the time: timers, or background work", rows)


def _rows(before: Quiet, after: Quiet | None) -> list[Evidence]:
    source = "samples.jsonl"
    rows = [
        Evidence("busiest_before_load", before.top, "cores", SPINNING, source),
        Evidence("cores_before_load", before.cores, "cores", QUIET, source),
    ]
    if after is not None:
        rows.append(Evidence("busiest_after_load", after.top, "cores", SPINNING, source))
        rows.append(Evidence("cores_after_load", after.cores, "cores", QUIET, source))
    return rows
