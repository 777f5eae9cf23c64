"""The server has far more threads than cores, and the more connections, the more threads.

Every thread costs memory for its stack, a place in the scheduler and switches; pools of 200 to 400
are defaults of application servers, one for each connection is a limit on connections. Found when
more than 400 threads ran for the load, a hundred or more for each core, in step with the
connections; or when a thread was started for every other request or more often. Between 200 and
that it is unknown, and twice the connections tell whether it goes on.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.model.samples import Sample

KIND = Kind.CAUSE
# Threads are counted, not measured.
NEEDS = ("samples_missed",)
EXPLAINS = ("memory_blowup", "slow_tail", "low_cpu")

# The largest default of a pool: Apache's 400 (MaxRequestWorkers of the event MPM); Jetty and Tomcat
# have 200. More than that, in step with the connections, is no pool of a default size.
THREADS_FOUND = 400
THREADS_CLEAR = 200
# A core that switches among a hundred threads is not served by more of them.
PER_CORE = 100
# Threads above the idle server's for each connection: 1.0 for one each; helpers are not by the
# load.
PER_CONNECTION = 0.5
# Threads started for each response: 1.0 for one per request. The numbers of new threads tell how
# many the whole host has started, so some of this server must have been seen to end, too.
STARTED_SHARE = 0.5
MIN_STARTED = 500
MIN_ENDED = 10
MIN_SAMPLES = 10


def check(run: Run) -> Finding:
    """Found with the number of threads, for each core and for each connection."""
    samples = run.samples_in("window")
    idle = run.samples_in("idle")
    if len(samples) < MIN_SAMPLES:
        return unknown(__name__, KIND, "the server was hardly sampled in the window")
    most = max(_threads(sample) for sample in samples)
    before = _threads(idle[-1]) if idle else 0
    cores = max(1, len(run.manifest.host.server_cpus))
    each = max(0, most - before) / max(1, run.manifest.connections)
    ended = _ended(samples)
    responses = run.load.responses if run.load else 0
    started = _started(samples)
    rows = [
        Evidence("threads", most, "threads", THREADS_FOUND, "samples.jsonl"),
        Evidence("threads_idle", before, "threads", None, "samples.jsonl"),
        Evidence("threads_per_core", most / cores, "threads", PER_CORE, "samples.jsonl"),
        Evidence("threads_per_connection", each, "threads", PER_CONNECTION, "samples.jsonl"),
        Evidence("threads_started", started, "threads", MIN_STARTED, "samples.jsonl"),
        Evidence("threads_seen_ending", ended, "threads", MIN_ENDED, "samples.jsonl"),
    ]
    said = f"{most:,} threads on {cores} cores, {before:,} before the load, {each:.2f} a connection"
    grows = each >= PER_CONNECTION
    if most >= THREADS_FOUND and most >= PER_CORE * cores and grows:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            said,
            rows,
            "bound the threads (a pool of some for each core, more where they wait), and let an "
            "event loop hold the connections that have nothing to do",
            explains=0.3,
        )
    if ended >= MIN_ENDED and started >= max(MIN_STARTED, STARTED_SHARE * responses):
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"about {started:,} threads were started during {responses:,} responses: one for each "
            "request or short connection",
            rows,
            "keep threads in a pool instead of starting one for each request, and keep connections "
            "open",
            explains=0.2,
        )
    if most >= THREADS_CLEAR and grows:
        why = f"{said}: repeat with twice the connections (-c); twice the threads confirms it"
        return unknown(__name__, KIND, why, rows)
    return finding(__name__, KIND, Verdict.CLEAR, said, rows)


def _threads(sample: Sample) -> int:
    return sum(process.thread_count for process in sample.processes)


def _ended(samples: tuple[Sample, ...]) -> int:
    """Threads that were seen and are gone, of processes that live on."""
    gone: set[tuple[int, int]] = set()
    last: dict[int, set[int]] = {}
    for sample in samples:
        for process in sample.processes:
            if not process.threads:
                continue
            now = {thread.tid for thread in process.threads}
            gone.update((process.pid, tid) for tid in last.get(process.pid, set()) - now)
            last[process.pid] = now
    return len(gone)


def _started(samples: tuple[Sample, ...]) -> int:
    """Tasks that the host started between the first and the last new thread of the server.

    Linux gives out thread numbers in order, so the highest ones tell; 0 where they began again.
    """
    highest = [
        max(
            (thread.tid for process in sample.processes for thread in process.threads),
            default=0,
        )
        for sample in samples
    ]
    seen = [number for number in highest if number]
    return max(0, max(seen) - seen[0]) if seen else 0
