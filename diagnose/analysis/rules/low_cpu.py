"""The server leaves cores idle while requests wait for it.

Found when the CPUs that the server may use were idle for a fifth or more, although at least two
requests a core were in flight all the time and the generator had time to spare. It says that more
was possible, not why: a single thread, a lock, a blocking call or a slow database does that.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import worst_lag_share
from diagnose.analysis.observe import measured_ticks, unseen, usage
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.SYMPTOM
NEEDS = ("client_saturated", "samples_missed", "connections_missing")

# Idle time of a busy two-core machine comes to a few percent (measured on healthy servers: 0 to
# 8 %); a single busy thread of two leaves 25 % and more beside its generator.
IDLE_FOUND = 0.2
IDLE_CLEAR = 0.12
# With fewer requests in flight than this for each core, cores idle for want of work.
MIN_IN_FLIGHT = 2.0
# From here on a good part of what is in flight are answers that the generator has not read yet.
LAG_SHARE = 0.5
MIN_SAMPLES = 10


def check(run: Run) -> Finding:
    """Found when cores idle and requests wait."""
    used = usage(run)
    if used is None or run.load is None or used.samples < MIN_SAMPLES:
        return unknown(__name__, KIND, "the server was hardly sampled in the window")
    if outside := unseen(run, used):
        return unknown(__name__, KIND, outside)
    cores = len(run.manifest.host.server_cpus)
    if cores < 2:
        return unknown(__name__, KIND, "the server has one core only")
    ticks = [tick.in_flight for tick in measured_ticks(run) if tick.phase == "window"]
    workers = max(1, len(run.load.workers))
    in_flight = sum(ticks) / len(ticks) * workers if ticks else 0.0
    share = used.idle / cores
    rows = [
        Evidence("idle_share", share, "ratio", IDLE_FOUND, "samples.jsonl"),
        Evidence("server_cpu", used.server_cores, "cores", cores, "samples.jsonl"),
        Evidence("in_flight", in_flight, "requests", MIN_IN_FLIGHT * cores, "load.jsonl"),
    ]
    if in_flight < MIN_IN_FLIGHT * cores:
        why = f"{in_flight:.1f} requests in flight cannot keep {cores} cores busy"
        return unknown(__name__, KIND, why, rows)
    lag = worst_lag_share(run)
    if lag > LAG_SHARE:
        rows.append(Evidence("lag_to_latency_p50", lag, "ratio", LAG_SHARE, "load.json"))
        why = f"{lag:.0%} of the latency was the generator's own: it may be what was waited for"
        return unknown(__name__, KIND, why, rows)
    said = f"the server used {used.server_cores:.2f} of {cores} cores, {used.idle:.2f} were idle"
    if share >= IDLE_FOUND:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{said} while {in_flight:.0f} requests were in flight",
            rows,
            "the causes found beside this say why; if none is, look at what the threads wait for",
            explains=share,
        )
    if share <= IDLE_CLEAR:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    return unknown(__name__, KIND, f"{said}: between the limits", rows)
