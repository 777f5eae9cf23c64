"""The server leaves cores idle while requests wait for it.

Found when a fifth or more of the CPUs that the server may use was not wanted by it, although at
least two requests a core were in flight all the time and the generator had time to spare. Not
wanted is what was idle, or what other programs took while the server's threads did not even wait
for a core. It says that more was possible, not why: a single thread, a lock, a blocking call or a
slow database does that.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import LATE_SHARE, bounded_load, not_told, worst_lag_share
from diagnose.analysis.observe import Usage, measured_ticks, unseen, usage
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.SYMPTOM
NEEDS = ("client_saturated", "samples_missed", "connections_missing", "host_noisy")

# Idle time of a busy two-core machine comes to a few percent (measured on healthy servers: 0 to
# 8 %); a single busy thread of two leaves 25 % and more beside its generator.
IDLE_FOUND = 0.2
IDLE_CLEAR = 0.12
# With fewer requests in flight than this for each core, cores idle for want of work.
MIN_IN_FLIGHT = 2.0
MIN_SAMPLES = 10
# A thread that is busy for more of the time has no room left.
AT_LIMIT = 0.9
# Linux delays an acknowledgment by 40 ms; answers that wait for it measured 43.9 ms (p50).
PLATEAU_S = (0.038, 0.052)


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
    pipeline = run.manifest.scenario.pipeline
    if not_told(run):
        # A driver's closed loop: it has no ticks, but its connections are busy all the time.
        ticks = [run.manifest.connections * pipeline]
    in_flight = sum(ticks) / len(ticks) * workers if ticks else 0.0
    unwanted = max(
        used.idle, cores - max(used.busy, used.server_cores) - _generator(run) - used.stolen
    )
    share = unwanted / cores
    rows = [
        Evidence("unwanted_share", share, "ratio", IDLE_FOUND, "samples.jsonl"),
        Evidence("idle", used.idle, "cores", None, "samples.jsonl"),
        Evidence("server_busy", used.busy, "cores", None, "samples.jsonl"),
        Evidence("server_cpu", used.server_cores, "cores", cores, "samples.jsonl"),
        Evidence("in_flight", in_flight, "requests", MIN_IN_FLIGHT * cores, "load.jsonl"),
    ]
    if in_flight < MIN_IN_FLIGHT * cores:
        why = f"{in_flight:.1f} requests in flight cannot keep {cores} cores busy"
        return unknown(__name__, KIND, why, rows)
    if bounded := bounded_load(run.manifest.scenario, run.load.overdue):
        return unknown(__name__, KIND, f"{bounded}: the server may have had nothing to do", rows)
    lag = worst_lag_share(run)
    if lag > LATE_SHARE:
        rows.append(Evidence("lag_to_latency_p50", lag, "ratio", LATE_SHARE, "load.json"))
        why = f"{lag:.0%} of the latency was the generator's own: it may be what was waited for"
        return unknown(__name__, KIND, why, rows)
    said = (
        f"the server used {used.server_cores:.2f} of {cores} cores and did not want another "
        f"{unwanted:.2f}"
    )
    if share >= IDLE_FOUND:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{said} while {in_flight:.0f} requests were in flight",
            rows,
            _next_step(run, used),
            explains=share,
        )
    if share <= IDLE_CLEAR:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    return unknown(__name__, KIND, f"{said}: between the limits", rows)


def _generator(run: Run) -> float:
    """Cores that the load workers had or waited for, where they share the server's."""
    if run.load is None or run.manifest.host.cpu_mode != "shared":
        return 0.0
    return sum(
        (worker.cpu_s + worker.run_queue_s) / worker.wall_s
        for worker in run.load.workers
        if worker.wall_s > 0
    )


def _next_step(run: Run, used: Usage) -> str:
    if used.threads and used.threads[0].busy > AT_LIMIT:
        top = used.threads[0]
        return (
            f"thread {top.name!r} of {top.process} was at its limit ({top.busy:.0%}): what only it "
            "can do holds the rest back; see single_threaded, and its frames in the profile"
        )
    latency = run.load.latency.p50_s if run.load else 0.0
    if PLATEAU_S[0] <= latency <= PLATEAU_S[1]:
        return (
            f"half of the answers take {latency * 1e3:.0f} ms on idle cores: that is how Nagle's "
            "algorithm against delayed ACK looks; set TCP_NODELAY, or write head and body in one "
            "call. If it is not that, look at what the threads wait for"
        )
    return (
        "if no cause is found beside this, look at what the threads wait for: a lock, a sleep, a "
        "backend (py-spy dump, jstack, kill -QUIT for Go; `diagnose findings low_cpu`)"
    )
