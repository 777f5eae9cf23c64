"""One lock lets the requests through one after the other while cores idle.

Found when threads that have a part in the requests slept in a lock for half of the window and more,
no thread was at its limit, and requests were worked on one at a time: by throughput times the
unloaded latency, or, for short requests, by one core of CPU time shared by many threads. A thread
that sleeps in a lock looks like one of a pool that has nothing to do, so one more thing is asked:
that these threads had requests (one thread for each connection; or a runtime whose threads wait
for backends elsewhere; or requests unread although
somebody waits for events), or that the profile shows calls of a contended lock, or that the stacks
of sleeping threads stand in one, at one place of the program. Otherwise it is unknown, and a look
at the stacks tells. Locks between worker processes, of files or shared memory,
are seen in the same way.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.lock_frames import LockFrames, lock_frames
from diagnose.analysis.room import ROOM_FOUND, Room, left_over
from diagnose.analysis.rules.gil_bound import BOUND_FROM, LOCKED_RUNTIMES
from diagnose.analysis.runtimes import runtime_of
from diagnose.analysis.serving import SERIAL_CORES, Serving, serving
from diagnose.analysis.thread_time import Place, ThreadTime
from diagnose.analysis.waiting import wait_site
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
NEEDS = ("client_saturated", "samples_missed", "connections_missing")
PROFILED = True
EXPLAINS = ("low_cpu", "slow_tail", "unfair", "hung")

# Threads behind one lock measured 0.69 (short work in it) to 0.97 (a sleep in it) of their time.
LOCKED_FOUND = 0.5
# Of N event loops behind one lock N - 1 wait for it, whoever has it: measured 0.5 to 1.1 of that.
# One that rests in a wait for events has no other reason to be in a lock.
LOOPS_LOCKED = 0.4
LOCKED_CLEAR = 0.1
MIN_THREADS = 3
# Whoever waits in a lock with a request is woken for it; a pool without work is not.
WOKEN = 0.5
# A thread at its limit feeds the others; their waiting is for work, not for a lock.
TOP_BUSY = 0.85
# One after the other: 0.9 to 1.5 measured, once 1.8: two probes tell the unloaded latency. Beyond
# the second limit it is certain that they are several.
AT_ONCE = 1.7
SEVERAL = 2.5
# With one thread for each connection, its sleep in a lock is with a request; its sleep without one
# is in a read.
PER_CONNECTION = 0.5
# Where a thread is what waits for a backend or a timer, it does not wait for them in a lock.
THREADED_RUNTIMES = ("cpython", "ruby")
# Requests that nobody reads, although a thread that waits for events has time.
UNREAD_SHARE = 0.1
# Healthy servers showed none of the calls of a contended lock; contended ones 5 % to 20 %.
FRAMES_SHARE = 0.02
# At one place of the program, with a request: fewer may meet there by chance.
STANDING = 2.0


def check(run: Run) -> Finding:
    """Found with the share of the time in the lock and how many were let through."""
    left = left_over(run, __name__, KIND)
    if isinstance(left, Finding):
        return left
    seen = serving(run)
    if not seen.seen:
        return unknown(__name__, KIND, "where the server's threads sleep could not be seen")
    part = seen.taking_part()
    loops = seen.loops()
    loops_locked = sum(row.share(Place.LOCK) for row in loops)
    locked = sum(row.share(Place.LOCK) for row in part) / len(part) if part else 0.0
    frames = lock_frames(run.profiles)
    # Stacks of threads with a request that stand in a lock; those of an idle pool are left out.
    site = wait_site(run.waits, (Place.LOCK,))
    if site is not None and site.at_once < STANDING:
        site = None
    running = sum(row.use.running for row in seen.threads)
    rows = [
        Evidence("lock_share", locked, "ratio", LOCKED_FOUND, "samples.jsonl"),
        Evidence("threads", len(part), "threads", MIN_THREADS, "samples.jsonl"),
        Evidence("running", running, "cores", SERIAL_CORES[1], "samples.jsonl"),
        Evidence("unwanted_share", left.share, "ratio", ROOM_FOUND, "samples.jsonl"),
    ]
    if seen.at_once_most is not None:
        most = seen.at_once_most
        rows.append(Evidence("requests_at_once", most, "requests", AT_ONCE, "load.json"))
    if seen.rps > 0:
        each = sum(row.switches or 0.0 for row in part) / seen.rps
        rows.append(Evidence("switches_per_response", each, "switches", None, "samples.jsonl"))
    if frames is not None:
        rows.append(Evidence("lock_frames", frames.share, "ratio", FRAMES_SHARE, frames.source))
    many_loops = len(loops) >= 2 and loops_locked >= LOOPS_LOCKED * (len(loops) - 1)
    woken = sum(row.switches or 0.0 for row in part if row.share(Place.LOCK) >= LOCKED_CLEAR)
    many_threads = len(part) >= MIN_THREADS and locked >= LOCKED_FOUND and woken >= WOKEN * seen.rps
    if site is not None:
        rows.append(Evidence("threads_standing", site.at_once, "threads", STANDING, site.source))
    named = frames is not None and frames.share >= FRAMES_SHARE
    if not (many_loops or many_threads or named):
        claim = f"threads that serve slept in a lock or an empty queue for {locked:.0%} of the time"
        between = LOCKED_CLEAR < locked < LOCKED_FOUND and len(part) >= MIN_THREADS
        if between and left.share >= ROOM_FOUND:
            return unknown(__name__, KIND, f"{claim}: between the limits", rows)
        if locked >= LOCKED_FOUND:
            claim += f", but were woken for {woken / max(1.0, seen.rps):.0%} of the requests only"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    why = frames if named else None
    standing = site is not None
    return _judge(run, seen, left, part, locked, many_loops, why, standing, running, rows)


def _judge(
    run: Run,
    seen: Serving,
    left: Room,
    part: list[ThreadTime],
    locked: float,
    many_loops: bool,
    frames: LockFrames | None,
    standing: bool,
    running: float,
    rows: list[Evidence],
) -> Finding:
    said = f"{len(part)} threads slept in a lock or an empty queue for {locked:.0%} of the time"
    if seen.waits_for_acks:
        return unknown(__name__, KIND, "answers wait for delayed acknowledgments", rows)
    if _interpreter_lock(run, seen):
        why = f"{said}: the interpreter's own lock does that (gil_bound), another would not show"
        return unknown(__name__, KIND, why, rows)
    top = max((row.use.busy for row in part), default=0.0)
    hardest = max((row.use.running for row in seen.threads), default=0.0)
    if hardest >= TOP_BUSY and not many_loops:
        why = f"{said}, and one thread was at its limit: they may wait for work from it"
        return unknown(__name__, KIND, why, rows)
    short = SERIAL_CORES[0] <= running <= SERIAL_CORES[1]
    # Threads that stand at one place, and one core's work: then it need not be as near.
    nearly = SEVERAL if standing and short else AT_ONCE
    one = seen.at_once_most is not None and seen.at_once_most <= nearly
    if not one and seen.at_once is not None:
        claim = f"{said}, but {seen.at_once:.1f} requests were worked on at a time"
        if seen.at_once <= SEVERAL:
            why = f"{claim}: too near to one to be several, and too far to be one"
            return unknown(__name__, KIND, why, rows)
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    if not one and not short:
        why = f"{said}; they ran {running:.2f} cores together: not one at a time by this alone"
        return unknown(__name__, KIND, why, rows)
    if left.share < ROOM_FOUND:
        return unknown(__name__, KIND, f"{said}, but few cores were left", rows)
    unread = seen.waiting >= max(2.0, UNREAD_SHARE * seen.asking)
    idle_loop = any(row.share(Place.READY) >= LOCKED_FOUND for row in seen.loops())
    by = ""
    if frames is not None:
        by = f"; the profile shows {frames.share:.0%} in {frames.lock}, called by {frames.caller}"
    # Threads of a pool rest in the same call, without a request too.
    own = [row for row in part if seen.rest.get(row.key) is not Place.LOCK]
    has_requests = (
        many_loops
        or frames is not None
        or standing
        or len(own) >= PER_CONNECTION * seen.asking
        or _threaded(run, part)
        or (unread and idle_loop)
    )
    if not has_requests:
        return unknown(
            __name__,
            KIND,
            f"{said} while requests were worked on one at a time: a lock, or one worker behind a "
            "queue; see what they stand in (py-spy dump, jstack, `go tool pprof` of the mutex "
            "profile), or repeat with twice the connections: throughput that stays confirms it",
            rows,
        )
    alone = "" if top < TOP_BUSY else ", most of the others ready to run"
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{said}{alone}, and requests went through one at a time on {running:.2f} of "
        f"{left.cores:g} cores{by}",
        rows,
        "find the lock by the stacks of the waiting threads (`diagnose findings lock_contention`), "
        "then hold it for less: no waiting and no work inside, one lock for each part of the data",
        explains=left.share,
    )


def _threaded(run: Run, part: list[ThreadTime]) -> bool:
    """The threads are of a runtime whose threads sleep in a lock for a lock only (and for work)."""
    return all(runtime_of(run, row.use.pid) in THREADED_RUNTIMES for row in part)


def _interpreter_lock(run: Run, seen: Serving) -> bool:
    """A process with a global interpreter lock used a core by several threads."""
    cores: dict[int, list[float]] = {}
    for row in seen.threads:
        if runtime_of(run, row.use.pid) in LOCKED_RUNTIMES:
            cores.setdefault(row.use.pid, []).append(row.use.running)
    return any(sum(parts) >= BOUND_FROM and max(parts) < TOP_BUSY for parts in cores.values())
