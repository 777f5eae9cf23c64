"""The server leaves cores idle while requests wait for it.

Found when a fifth or more of the CPUs that the server may use was not wanted by it, although at
least two requests a core were in flight all the time and the generator had time to spare. Not
wanted is what was idle, or what other programs took while the server's threads did not even wait
for a core. A CPU quota below the number of CPUs is what the server may use then: cores beyond it
idle by order (cpu_quota). It says that more was possible, not why: a single thread, a lock, a
blocking call or a slow database does that.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import LATE_SHARE
from diagnose.analysis.observe import Usage, unseen, usage
from diagnose.analysis.room import MIN_IN_FLIGHT, ROOM_CLEAR, ROOM_FOUND, Room, room
from diagnose.analysis.serving import serving
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.SYMPTOM
NEEDS = ("client_saturated", "samples_missed", "connections_missing", "host_noisy")

MIN_SAMPLES = 10
# A thread that is busy for more of the time has no room left.
AT_LIMIT = 0.9
# Linux delays an acknowledgment by 40 ms; answers that wait for it measured 43.9 ms (p50).
PLATEAU_S = (0.038, 0.052)
# Requests worked on at a time against those in flight: 0.93 to 1.0 where each waits for itself.
SIDE_BY_SIDE = 0.7


def check(run: Run) -> Finding:
    """Found when cores idle and requests wait."""
    used = usage(run)
    if used is None or run.load is None or used.samples < MIN_SAMPLES:
        return unknown(__name__, KIND, "the server was hardly sampled in the window")
    if outside := unseen(run, used):
        return unknown(__name__, KIND, outside)
    left = room(run, used)
    rows = [
        Evidence("unwanted_share", left.share, "ratio", ROOM_FOUND, "samples.jsonl"),
        Evidence("idle", used.idle, "cores", None, "samples.jsonl"),
        Evidence("server_busy", used.busy, "cores", None, "samples.jsonl"),
        Evidence("server_cpu", used.server_cores, "cores", left.cores, "samples.jsonl"),
        Evidence("in_flight", left.in_flight, "requests", MIN_IN_FLIGHT * left.cores, "load.jsonl"),
    ]
    quota = left.cores < len(run.manifest.host.server_cpus)
    if left.cores < 2:
        why = f"the server has {f'a CPU quota of {left.cores:g} cores' if quota else 'one core'}"
        return unknown(__name__, KIND, f"{why} only", rows if quota else ())
    if left.doubt:
        if left.lag > LATE_SHARE:
            rows.append(Evidence("lag_to_latency_p50", left.lag, "ratio", LATE_SHARE, "load.json"))
        return unknown(__name__, KIND, left.doubt, rows)
    said = (
        f"the server used {used.server_cores:.2f} of {left.cores:g} cores"
        f"{' (its CPU quota)' if quota else ''} and did not want another {left.unwanted:.2f}"
    )
    if left.share >= ROOM_FOUND:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{said} while {left.in_flight:.0f} requests were in flight",
            rows,
            _next_step(run, used, left),
            explains=left.share,
        )
    if left.share <= ROOM_CLEAR:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    return unknown(__name__, KIND, f"{said}: between the limits", rows)


def _next_step(run: Run, used: Usage, left: Room) -> str:
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
    seen = serving(run)
    if seen.at_once is not None and seen.at_once >= SIDE_BY_SIDE * left.in_flight:
        return (
            f"{seen.at_once:.0f} requests were worked on side by side, each as fast as without "
            "load: they wait for something else (a timer, a backend), and nothing in the server "
            "holds them up; more connections (-c) would use more of the cores"
        )
    return (
        "if no cause is found beside this, look at what the threads wait for: a lock, a sleep, a "
        "backend (py-spy dump, jstack, kill -QUIT for Go; `diagnose findings low_cpu`)"
    )
