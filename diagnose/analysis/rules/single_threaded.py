"""One thread does all the work; other cores stay idle.

Found when one thread of the whole process tree is busy (running, or waiting for a core) more than
90 % of the window (75 % where half of the requests lie unread) while all the others together are
busy less than 20 %, and the server may use
two cores or more, by its CPU set and by its CPU quota. Counting the wait makes it hold on shared
machines, where a serial server and a starved one use the same CPU time. Unknown when sibling worker
processes idle beside the busy one (the connections are not spread), when most of the latency was
the generator's own, when helper threads, such as a garbage collector's, work beside a thread that
is at its limit, and when the threads of one process take turns: together one core and no more.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import LATE_SHARE, worst_lag_share
from diagnose.analysis.observe import unseen, usage
from diagnose.analysis.room import asking_connections, quota_cores
from diagnose.analysis.runtimes import runtime_of
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
NEEDS = ("client_saturated", "samples_missed", "connections_missing")
EXPLAINS = ("low_cpu",)

# A serial server that is never short of work measured 0.95 to 1.0; healthy threads beside others
# that work are caught by the second limit.
TOP_BUSY = 0.9
# Timers, garbage collection and a supervising process measured 0.00 to 0.12 together.
REST_BUSY = 0.2
# A thread that takes one connection after the other sleeps for moments in between (0.83 to 0.87
# busy measured), while most requests wait for it in the kernel: it is at its limit from here on.
WAITED_BUSY = 0.75
WAITED_SHARE = 0.5
# One thread below this did wait for something; it may still be the only one.
TOP_CLEAR = 0.75
# Beside a thread at its limit: helpers of a runtime measured 0.1 to 0.3 each, a second worker more.
HELPER_BUSY = 0.5
# A sibling process with half of the memory of the busy one is a worker like it; the trackers and
# supervisors of process pools are much smaller.
SIBLING_MEMORY = 0.5
# Threads that take turns, of which one at a time may run, measured 0.97 to 1.01 together.
TURNS_LOW, TURNS_HIGH = 0.9, 1.06
MIN_SAMPLES = 10
# Runtimes in which one thread of a process runs all handlers, whatever works beside it. (Worker
# threads that serve as well are at their own limit, over half each.)
ONE_BY_NATURE = ("node", "bun", "deno")
NEXT_STEP = (
    "start one worker process or thread per core (`diagnose findings single_threaded` names the "
    "setting of each runtime), then run the same command again"
)


def check(run: Run) -> Finding:
    """Found with the thread's name and its share."""
    used = usage(run)
    if used is None or not used.threads or used.samples < MIN_SAMPLES:
        return unknown(__name__, KIND, "the threads were hardly sampled in the window")
    if outside := unseen(run, used):
        return unknown(__name__, KIND, outside)
    cores = len(run.manifest.host.server_cpus)
    quota = quota_cores(run)
    top = used.threads[0]
    # Threads that live shorter than the time between two samples show only in the process totals.
    rest = max(used.busy - top.busy, used.server_cores - top.running)
    rows = [
        Evidence("top_thread_busy", top.busy, "cores", TOP_BUSY, "samples.jsonl"),
        Evidence("other_threads_busy", rest, "cores", REST_BUSY, "samples.jsonl"),
        Evidence("threads", len(used.threads), "threads", None, "samples.jsonl"),
        Evidence("idle_cores", used.idle, "cores", None, "samples.jsonl"),
    ]
    if used.unread_sockets is not None:
        rows.append(
            Evidence("sockets_unread", used.unread_sockets, "sockets", None, "samples.jsonl")
        )
    if cores < 2:
        return unknown(__name__, KIND, "the server has one core only", rows)
    if quota is not None and quota < 2:
        why = f"a CPU quota of {quota:g} cores leaves no second one to use"
        return unknown(__name__, KIND, why, rows)
    if run.manifest.connections < 2:
        return unknown(__name__, KIND, "one connection gives no second thread work", rows)
    who = f"thread {top.name!r} of {top.process} (PID {top.pid})"
    lag = worst_lag_share(run)
    if top.busy > TOP_BUSY and lag > LATE_SHARE:
        rows.append(Evidence("lag_to_latency_p50", lag, "ratio", LATE_SHARE, "load.json"))
        return unknown(
            __name__,
            KIND,
            f"{who} was busy or waiting for a core {top.busy:.0%} of the time, but {lag:.0%} of "
            "the latency was the generator's own: a second thread might have had no core",
            rows,
        )
    siblings = _idle_siblings(run, top.pid)
    waited = (used.unread_sockets or 0.0) >= WAITED_SHARE * max(1.0, asking_connections(run))
    limit = WAITED_BUSY if waited else TOP_BUSY
    if top.busy > limit and rest < REST_BUSY and siblings:
        rows.append(Evidence("idle_siblings", siblings, "processes", 0, "samples.jsonl"))
        return unknown(
            __name__,
            KIND,
            f"{who} was busy {top.busy:.0%} of the time while {siblings} worker processes beside "
            f"it idled: the {run.manifest.connections} connections are not spread over them; "
            "repeat with more connections",
            rows,
        )
    if top.busy > limit and rest < REST_BUSY:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{who} was busy {top.busy:.0%} of the time, {_others(len(used.threads) - 1, rest)}: "
            f"one of {cores} cores does the work",
            rows,
            NEXT_STEP,
            explains=1 - 1 / cores,
        )
    second = used.threads[1].busy if len(used.threads) > 1 else 0.0
    if top.busy > TOP_BUSY and second < HELPER_BUSY and runtime_of(run, top.pid) in ONE_BY_NATURE:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{who} was busy {top.busy:.0%} of the time, and it alone may run JavaScript; helpers "
            f"beside it (collector, compiler, pool) {rest:.0%} together: one of {cores} cores does "
            "the work",
            rows,
            NEXT_STEP,
            explains=1 - 1 / cores,
        )
    if top.busy > TOP_BUSY and second < HELPER_BUSY:
        return unknown(
            __name__,
            KIND,
            f"{who} was at its limit ({top.busy:.0%}), but others worked beside it, {rest:.0%} "
            "together and none over half: helpers of the runtime, or a second kind of work",
            rows,
        )
    together = sum(thread.busy for thread in used.threads if thread.pid == top.pid)
    if TURNS_LOW <= together <= TURNS_HIGH and used.busy - together < REST_BUSY:
        rows.append(Evidence("process_busy", together, "cores", TURNS_HIGH, "samples.jsonl"))
        return unknown(
            __name__,
            KIND,
            f"the threads of {top.process} (PID {top.pid}) were busy {together:.2f} cores "
            "together, as if they took turns: a limit of one at a time (GOMAXPROCS, domains, an "
            "interpreter's lock) or a lock of its own; twice the limit, or twice the processes, "
            "decides",
            rows,
        )
    if rest >= REST_BUSY or top.busy < TOP_CLEAR:
        claim = f"busiest: {who} at {top.busy:.0%}; all others together {rest:.0%}"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    return unknown(__name__, KIND, f"{who} was busy {top.busy:.0%} alone: between the limits", rows)


def _idle_siblings(run: Run, pid: int) -> int:
    """How many processes look like fellow workers of a process: same parent, name, like memory."""
    samples = run.samples_in("window")
    processes = {process.pid: process for process in samples[-1].processes} if samples else {}
    busy = processes.get(pid)
    if busy is None:
        return 0
    return sum(
        other.pid != pid
        and other.parent == busy.parent
        and other.name == busy.name
        and other.rss >= SIBLING_MEMORY * busy.rss
        for other in processes.values()
    )


def _others(count: int, busy: float) -> str:
    """The other threads of the server in words."""
    if not count:
        return "and there is no other thread"
    if count == 1:
        return f"the other thread {busy:.0%}"
    return f"the other {count} threads together {busy:.0%}"
