"""Every worker is occupied, cores are idle, and requests queue for the next free worker.

Two forms. Busy workers: two or more threads at their limit (over 0.9 of a core each), hardly
another at work, and cores left over; one such thread alone is single_threaded. Waiting workers:
threads that serve one request at a time and wait in a call for most of it, all of them occupied all
the time, while more requests wait than there are workers; found when requests are worked on at the
unloaded speed, as many at a time as there are workers, so that more workers would serve more. Where
each takes longer than without load, what they wait for may be the limit: unknown, twice the workers
tell.
"""

from __future__ import annotations

import re

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.room import ROOM_FOUND, Room, left_over
from diagnose.analysis.runtimes import runtime_of
from diagnose.analysis.serving import Serving, held_up, serving
from diagnose.analysis.thread_time import Place, ThreadTime
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
NEEDS = ("client_saturated", "samples_missed", "connections_missing")
EXPLAINS = ("low_cpu", "slow_tail", "unfair", "hung")

# As for single_threaded: a thread that is never short of work measured 0.95 to 1.0.
OCCUPIED = 0.9
# One that waits for a core most of the time is held up by an affinity or a quota.
RUNNING = 0.75
# Helpers of a runtime measured 0.1 to 0.3 each; a worker that has room is above this.
HELPER_BUSY = 0.5
# All the others together, for each busy worker.
REST_BUSY = 0.25
# A worker that waits in its calls for less than this is a busy one.
WAITS = 0.2
# Requests in flight for each worker, below which they do not queue.
QUEUED = 2.0
# Requests worked on at a time, for each occupied worker: 1.0 when each takes as long as without
# load. Pools of 4 and 16 threads measured 1.0; the probe's own time makes it 1.1 for short calls.
AT_SPEED = (0.7, 1.4)
# Times that the workers are woken, for each response: 1 to 4 measured.
WOKEN = 0.5
# Requests that nobody has read or accepted: 0.25 to 0.9 of those in flight measured. Schedulers
# that read all requests and keep them inside (Go, tokio) leave none.
UNREAD_SHARE = 0.1
UNREAD_MIN = 2.0
# An event loop holds most of the connections that it serves.
LOOP_ACCEPTED = 0.5


def check(run: Run) -> Finding:
    """Found with how many workers there were and how many requests waited."""
    left = left_over(run, __name__, KIND)
    if isinstance(left, Finding):
        return left
    seen = serving(run)
    busy = [row for row in seen.threads if row.use.busy >= OCCUPIED]
    rows = [
        Evidence("workers_at_limit", len(busy), "threads", 2, "samples.jsonl"),
        Evidence("unwanted_share", left.share, "ratio", ROOM_FOUND, "samples.jsonl"),
        Evidence("requests_waiting", seen.waiting, "requests", None, "samples.jsonl"),
        Evidence("in_flight", left.in_flight, "requests", None, "load.jsonl"),
    ]
    if len(busy) >= 2:
        return _busy(seen, busy, left, rows)
    if waiting := _waiting_workers(run, seen):
        return _waiting(seen, waiting, left, rows)
    if pool := _pool(run, seen):
        return _waiting(seen, pool, left, rows)
    if not seen.seen:
        return unknown(__name__, KIND, "where the server's threads sleep could not be seen", rows)
    claim = f"{len(busy)} threads at their limit, and no row of workers that are all occupied"
    return finding(__name__, KIND, Verdict.CLEAR, claim, rows)


def _busy(seen: Serving, busy: list[ThreadTime], left: Room, rows: list[Evidence]) -> Finding:
    others = [row.use.busy for row in seen.threads if row.use.busy < OCCUPIED]
    rest = sum(others)
    rows.append(Evidence("others_busy", rest, "cores", REST_BUSY * len(busy), "samples.jsonl"))
    processes = len({row.use.pid for row in busy})
    what = f"{len(busy)} threads" + (f" of {processes} processes" if processes > 1 else "")
    said = f"{what} of {busy[0].use.process} were at their limit, all others {rest:.2f} together"
    running = sum(row.use.running for row in busy) / len(busy)
    if running < RUNNING:
        why = f"{said}, but they waited for cores while others were idle: look at their affinity"
        return unknown(__name__, KIND, why, rows)
    if max(others, default=0.0) >= HELPER_BUSY or rest > REST_BUSY * len(busy):
        claim = f"{said}: there are workers with time to spare"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    if left.share < ROOM_FOUND or left.in_flight < QUEUED * len(busy):
        return unknown(__name__, KIND, f"{said}; too little was left, or too few waited", rows)
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{said}, {left.unwanted:.1f} of {left.cores:g} cores idle: {len(busy)} workers for "
        f"{left.in_flight:.0f} requests in flight",
        rows,
        "start one worker for each core (`diagnose findings too_few_workers` names the setting of "
        "each runtime), then run the same command again",
        explains=left.share,
    )


def _waiting_workers(run: Run, seen: Serving) -> list[ThreadTime]:
    """Threads that were occupied all the time, and for a part of it by waiting in a call."""
    workers = [
        row
        for row in seen.threads
        if row.use.busy + held_up(row) >= OCCUPIED
        and held_up(row) >= WAITS
        # A thread that sleeps without load in the same kind of call is a timer or a supervisor.
        and row.share(seen.rest.get(row.key, Place.OTHER)) < WAITS
        and not _loop(run, seen, row)
    ]
    return workers if _woken(seen, workers) else []


def _woken(seen: Serving, workers: list[ThreadTime]) -> bool:
    """Whoever serves by waiting is woken at least once for most requests; timers are not, and
    neither are the idle pools of a runtime (0.05 for each request measured with node)."""
    return sum(row.switches or 0.0 for row in workers) >= WOKEN * seen.rps


def _loop(run: Run, seen: Serving, row: ThreadTime) -> bool:
    """The thread is an event loop whose process holds most of the connections."""
    held = seen.accepted.get(row.use.pid, 0)
    at_rest = seen.rest.get(row.key)
    return at_rest is Place.READY and held >= LOOP_ACCEPTED * run.manifest.connections


def _pool(run: Run, seen: Serving) -> list[ThreadTime]:
    """Threads of a pool that are as many as the requests worked on at a time, while others wait.

    The JVM, .NET and Ruby sleep, and wait for backends, where threads without work sleep too
    (futex, poll). That their number is that of the requests at work is what tells.
    """
    unread = seen.waiting >= max(UNREAD_MIN, UNREAD_SHARE * seen.asking)
    if seen.at_once is None or not unread:
        return []
    groups: dict[tuple[str, str], list[ThreadTime]] = {}
    for row in seen.taking_part():
        at_rest = seen.rest.get(row.key)
        asleep = held_up(row) + row.share(Place.LOCK)
        asleep += row.share(Place.READY) if at_rest is not Place.READY else 0.0
        # Goroutines are not threads: how many of these there are says nothing.
        threads = runtime_of(run, row.use.pid) != "go"
        if (
            threads
            and not _loop(run, seen, row)
            and asleep >= WAITS
            and row.use.busy + asleep >= OCCUPIED
        ):
            name = re.sub(r"\d+", "", row.use.name)
            groups.setdefault((row.use.process, name), []).append(row)
    fitting = [
        group
        for group in groups.values()
        if AT_SPEED[0] <= seen.at_once / len(group) <= AT_SPEED[1] and _woken(seen, group)
    ]
    return max(fitting, key=len, default=[])


def _waiting(seen: Serving, workers: list[ThreadTime], left: Room, rows: list[Evidence]) -> Finding:
    count = len(workers)
    rows.append(Evidence("workers_occupied", count, "threads", None, "samples.jsonl"))
    busy = sum(row.use.busy for row in workers) / count
    said = (
        f"{count} workers of {workers[0].use.process} were occupied all the time, waiting for "
        f"{1 - busy:.0%} of it"
    )
    if left.in_flight < QUEUED * count:
        claim = f"{said}: as many as there are requests in flight ({left.in_flight:.0f})"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    if seen.waits_for_acks:
        why = f"{said}, but answers wait for delayed acknowledgments: mend that, and run again"
        return unknown(__name__, KIND, why, rows)
    keys = {row.key for row in workers}
    names = {row.use.process for row in workers}
    locked = sum(
        row.share(Place.LOCK) >= WAITS
        for row in seen.taking_part()
        if row.key not in keys and row.use.process in names
    )
    if locked > count / 2:
        why = f"{said}, while {locked} others wait in a lock or a queue: see pool_exhausted"
        return unknown(__name__, KIND, why, rows)
    if seen.at_once is None:
        why = f"{said}; repeat with twice the workers: throughput that rises confirms it"
        return unknown(__name__, KIND, why, rows)
    each = seen.at_once / count
    rows.append(Evidence("requests_at_once", seen.at_once, "requests", count, "load.json"))
    if each < AT_SPEED[0] or left.share < ROOM_FOUND:
        return unknown(
            __name__,
            KIND,
            f"{said}, but a request took {1 / max(each, 1e-3):.1f} times as long as without load: "
            "what they wait for may be the limit; repeat with twice the workers",
            rows,
        )
    if each > AT_SPEED[1]:
        claim = f"{said}, but {seen.at_once:.0f} requests were worked on at a time: others serve"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{said}, and {left.in_flight - count:.0f} requests waited for one of them; each was "
        "served as fast as without load",
        rows,
        "start more workers or threads: they wait most of the time, so many more than cores are "
        "right (`diagnose findings too_few_workers`), or wait without holding a thread",
        explains=left.share,
    )
