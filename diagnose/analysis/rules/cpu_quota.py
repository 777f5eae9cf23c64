"""A CPU quota stops the server: it may use fewer cores than it was given, by order.

Containers and services are given a quota of CPU time for each period of 100 ms (`--cpus`,
`cpu.max`, CPUQuota=); who has used it up is stopped until the next period begins. Found when the
server's control group was stopped so in a tenth or more of the periods of the window, while cores
beyond the quota were there. Clear without a quota, or when it was not reached; so too when the
profile itself gives the server no more cores than that. Cores beyond a quota do not count as idle
for low_cpu.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import usage
from diagnose.analysis.room import quota_cores
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
# The kernel counts what it stopped itself: no validity rule undoes it.
NEEDS: tuple[str, ...] = ()
EXPLAINS = ("slow_tail", "stalls")

# A period lasts 100 ms, and a server that is stopped in it answers nothing for a part of that:
# one in ten such periods reaches p99 for certain and throughput by up to a tenth. A server that
# wants more than its quota all the time is stopped in nearly every period.
THROTTLED_FOUND = 0.1
# One in a hundred is an outlier that p99 hardly shows.
THROTTLED_CLEAR = 0.01
# Fewer periods than this (2 s) are too few for shares of a tenth.
MIN_PERIODS = 20


def check(run: Run) -> Finding:
    """Found with the quota and the share of periods in which the server was stopped."""
    groups = [sample.cgroup for sample in run.samples_in("window") if sample.cgroup is not None]
    if len(groups) < 2:
        return unknown(__name__, KIND, "the server's control group was not sampled")
    quota = quota_cores(run)
    cpus = len(run.manifest.host.server_cpus)
    if quota is None:
        return finding(__name__, KIND, Verdict.CLEAR, "no CPU quota is set for the server")
    first, last = groups[0], groups[-1]
    periods = last.periods - first.periods
    throttled = last.throttled_periods - first.throttled_periods
    share = throttled / periods if periods > 0 else 0.0
    used = usage(run)
    rows = [
        Evidence("throttled_share", share, "ratio", THROTTLED_FOUND, "samples.jsonl"),
        Evidence("quota", quota, "cores", cpus, "samples.jsonl"),
        Evidence("throttled", last.throttled_s - first.throttled_s, "s", None, "samples.jsonl"),
        Evidence("periods", periods, "periods", MIN_PERIODS, "samples.jsonl"),
    ]
    if used is not None:
        rows.append(Evidence("server_cpu", used.server_cores, "cores", quota, "samples.jsonl"))
    said = f"a CPU quota of {quota:g} cores stopped the server in {share:.0%} of {periods} periods"
    if periods < MIN_PERIODS:
        why = f"a CPU quota of {quota:g} cores, seen over {periods} periods only"
        return unknown(__name__, KIND, why, rows)
    if share <= THROTTLED_CLEAR:
        claim = f"the CPU quota of {quota:g} cores was not reached"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    asked = run.manifest.scenario.server_cores
    if asked and quota >= asked:
        claim = f"{said}, as the profile asks: it gives the server {asked} cores"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    if share < THROTTLED_FOUND:
        return unknown(__name__, KIND, f"{said}: between the limits", rows)
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{said}, with {cpus} cores there",
        rows,
        "raise the quota (`docker run --cpus`, limits.cpu, CPUQuota=), or tell the runtime how "
        "many cores it has, so that it does not use up a period's time at once",
        explains=max(0.0, 1 - quota / cpus) if cpus else 0.0,
    )
