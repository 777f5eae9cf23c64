"""The event loop is blocked: it sits in a call that waits while its connections hold requests.

An event loop serves all of its connections by one thread. A call in a handler that waits (a sleep,
a database driver that blocks, a lock, a child process, a file) stops all of them. Found when
threads that wait for events without load sat in such a call for half of the window and more,
although the connections were theirs and requests waited, and cores were free. Found by where the
thread sleeps, so it says that the loop is blocked and in what kind of call, not in which line.
Unknown where the loop waits for events while requests stay unread: it runs a loop of its own for
something else (a child process run to its end), or lets in only so many requests.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe_processes import process_cores
from diagnose.analysis.room import left_over
from diagnose.analysis.runtimes import runtime_of
from diagnose.analysis.serving import SERIAL_CORES, Serving, held_up, serving
from diagnose.analysis.thread_time import BLOCKING, Place, ThreadTime
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
NEEDS = ("client_saturated", "samples_missed", "connections_missing")
EXPLAINS = ("low_cpu", "slow_tail", "stalls", "unfair", "hung")

# Loops with a blocking call of 5 ms in each handler measured 0.85 to 0.95, healthy ones that wait
# for timers or backends 0.00. A loop that is held up for half of the time loses half of what it
# can.
HELD_FOUND = 0.5
# A tenth may be a log file or a name that is looked up.
HELD_CLEAR = 0.1
# Requests that nobody has read while the loop sleeps: blocked loops measured 0.5 to 1.0 of those in
# flight (an asyncio loop reads many, then handles one after the other), healthy ones under 0.02.
UNREAD_SHARE = 0.1
UNREAD_MIN = 2.0
# A loop that waits for events reads all there are: this many unread ones are left on purpose.
LEFT_UNREAD = 0.25
# Requests worked on at a time, for each loop: 1.0 when blocked, dozens when they wait side by side.
ONE_AT_A_TIME = 1.5
# Loops that are blocked each by itself come to one request for each; behind one lock to one for
# all.
EACH_LOOP = 0.7
# A thread that works this much is not blocked.
OCCUPIED = 0.9
# A process that is this busy waits for the interpreter's lock, not in a call of its own.
RUNNING = 0.6
# Loops that have accepted fewer of the connections than this are workers that take one at a time.
ACCEPTED_SHARE = 0.5


def check(run: Run) -> Finding:
    """Found with the loops, the calls they sat in and the requests that waited."""
    left = left_over(run, __name__, KIND)
    if isinstance(left, Finding):
        return left
    seen = serving(run)
    if seen.seen and not seen.rest and seen.threads[0].use.busy >= OCCUPIED:
        claim = f"thread {seen.threads[0].use.name!r} worked all the time and waited for nothing"
        return finding(__name__, KIND, Verdict.CLEAR, claim)
    if not seen.seen or not seen.rest:
        return unknown(__name__, KIND, "where the server's threads sleep could not be seen")
    loops = [row for row in seen.loops() if seen.accepted.get(row.use.pid, 0) > 0]
    if not loops:
        claim = "no thread that holds connections waits for events: the server has no event loop"
        return finding(__name__, KIND, Verdict.CLEAR, claim)
    accepted = sum(seen.accepted[pid] for pid in {row.use.pid for row in loops})
    share = accepted / max(1, run.manifest.connections)
    unread = seen.waiting >= max(UNREAD_MIN, UNREAD_SHARE * seen.asking)
    left_unread = seen.waiting >= max(UNREAD_MIN, LEFT_UNREAD * seen.asking)
    running = _running(run, seen)
    by_locks = left_unread and not _between_workers(seen, loops)
    held = {row.key: _held(row, by_locks and running[row.use.pid] < RUNNING) for row in loops}
    worst = max(loops, key=lambda row: held[row.key])
    blocked = [row for row in loops if held[row.key] >= HELD_FOUND]
    rows = [
        Evidence("held_up_share", held[worst.key], "ratio", HELD_FOUND, "samples.jsonl"),
        Evidence("requests_waiting", seen.waiting, "requests", UNREAD_MIN, "samples.jsonl"),
        Evidence("loops", len(loops), "threads", None, "samples.jsonl"),
        Evidence("connections_accepted", share, "ratio", ACCEPTED_SHARE, "samples.jsonl"),
        Evidence("loop_running", worst.use.running, "cores", None, "samples.jsonl"),
    ]
    if seen.at_once_most is not None:
        limit, most = ONE_AT_A_TIME * len(loops), seen.at_once_most
        rows.append(Evidence("requests_at_once", most, "requests", limit, "load.json"))
    if share < ACCEPTED_SHARE:
        claim = f"the loops hold {share:.0%} of the connections: the others wait to be accepted"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    who = f"thread {worst.use.name!r} of {worst.use.process} (PID {worst.use.pid})"
    where = _where(worst)
    one = seen.at_once_most is not None and seen.at_once_most <= ONE_AT_A_TIME * len(loops)
    if blocked and seen.waits_for_acks:
        return unknown(__name__, KIND, "answers wait for delayed acknowledgments", rows)
    if blocked and (unread or one):
        count = len(blocked) - 1
        others = f", as did {count} other loop{'s' if count > 1 else ''}" if count else ""
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{who}, an event loop, sat in {where} for {held[worst.key]:.0%} of the time{others}, "
            f"while {seen.waiting:.0f} requests lay unread",
            rows,
            _next_step(run, worst),
            explains=left.share,
        )
    if blocked:
        why = f"{who}, an event loop, sat in {where}, but no request waited for it"
        return unknown(__name__, KIND, why, rows)
    idle = worst.share(Place.READY)
    pool = [row for row in seen.taking_part() if row.use.pid == worst.use.pid and row is not worst]
    if left_unread and idle >= HELD_FOUND and not pool:
        return unknown(
            __name__,
            KIND,
            f"{who} waited for events {idle:.0%} of the time and left {seen.waiting:.0f} requests "
            "unread: a call that runs a loop of its own (execSync, run_until_complete), or a limit "
            "on requests at a time; take its stack while it waits (py-spy dump, node --inspect)",
            rows,
        )
    if held[worst.key] > HELD_CLEAR:
        why = f"{who}, an event loop, sat in {where} for {held[worst.key]:.0%} of the time"
        return unknown(__name__, KIND, why, rows)
    claim = f"the event loops ran or waited for events; blocked for {held[worst.key]:.0%} at most"
    return finding(__name__, KIND, Verdict.CLEAR, claim, rows)


def _running(run: Run, seen: Serving) -> dict[int, float]:
    """Cores that each process ran, also by threads that ended between two samples."""
    cores = dict.fromkeys((row.use.pid for row in seen.threads), 0.0)
    for row in seen.threads:
        cores[row.use.pid] += row.use.running
    whole = process_cores(run)
    return {pid: max(ran, whole.get(pid, 0.0)) for pid, ran in cores.items()}


def _between_workers(seen: Serving, loops: list[ThreadTime]) -> bool:
    """What the loops of several workers wait for in a lock is each other (lock_contention): fewer
    requests are worked on at a time than there are loops."""
    if len(loops) < 2:
        return False
    if seen.at_once_most is not None:
        return seen.at_once_most < EACH_LOOP * len(loops)
    running = sum(row.use.running for row in seen.threads)
    return SERIAL_CORES[0] <= running <= SERIAL_CORES[1]


def _held(row: ThreadTime, by_locks: bool) -> float:
    """The share of the time that a loop was held up, by locks too where these count.

    Schedulers of many threads (Go, tokio) put idle ones to sleep in the same way, but then nothing
    lies unread.
    """
    return held_up(row) + (row.share(Place.LOCK) if by_locks else 0.0)


def _where(row: ThreadTime) -> str:
    """The kind of call that a thread sat in most."""
    places = [place for place in row.asleep if place in (*BLOCKING, Place.LOCK)]
    return str(max(places, key=lambda place: row.asleep[place], default=Place.OTHER).value)


def _next_step(run: Run, worst: ThreadTime) -> str:
    runtime = runtime_of(run, worst.use.pid)
    look = {
        "cpython": f"`py-spy dump --pid {worst.use.pid}`",
        "node": "`node --cpu-prof` hides waits: use `--inspect` and pause",
        "jvm": f"`jstack {worst.use.pid}`",
        "ruby": f"`rbspy dump --pid {worst.use.pid}`",
    }.get(runtime, f"`gdb -p {worst.use.pid} -batch -ex bt`")
    return (
        f"see the line while the load runs ({look}, some three times: it stands in the same call); "
        "await that call, or move it to a pool of threads"
    )
