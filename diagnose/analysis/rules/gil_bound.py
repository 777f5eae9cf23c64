"""The interpreter's lock lets one thread of a process run at a time: its threads share one core.

CPython's global interpreter lock (GIL) and Ruby's (GVL) are held by whoever runs the language.
Found when the threads of such a process used one core together (0.8 to 1.15), no matter how many
they are, with none of them alone at its limit, while others waited for the lock and cores were
free. A process whose threads ran on more than that at once is not bound: they were in native code,
or the build has no such lock. Clear where threads are not used, or where no core was left.
"""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe_processes import process_cores
from diagnose.analysis.room import ROOM_FOUND, left_over
from diagnose.analysis.runtimes import runtime_of
from diagnose.analysis.thread_time import Place, ThreadTime, thread_times
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
NEEDS = ("client_saturated", "samples_missed", "connections_missing")
EXPLAINS = ("low_cpu", "slow_tail")

LOCKED_RUNTIMES = {"cpython": "GIL", "ruby": "GVL"}
# Pools of 2 to 64 threads measured 0.94 to 1.11 cores: system calls and hashing of long data run
# without the lock. Waiting for a core while holding it takes some off.
BOUND_FROM, BOUND_TO = 0.8, 1.15
# Two threads that run at once without a lock between them come to more than this.
FREE_FROM = 1.3
# A process below this waits for something else than its turn.
IDLE_BELOW = 0.6
# A thread above this is the limit by itself (single_threaded asks for it): more threads were not
# what it lacked.
TOP_BUSY = 0.9
# A thread takes part from a fiftieth of its process's time: at the lock, 64 equal ones have 1/64.
MIN_PART = 0.01
# Without anybody waiting for the lock it holds nobody back: mean number of threads asleep in it.
MIN_WAITING = 0.5
MIN_LOOKS = 3
# Of threads that ended between two samples only the process's total tells.
UNSEEN_CORES = 0.2


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """A process with such a lock, in cores. waiting: threads asleep in a lock; None: not seen."""

    pid: int
    name: str
    lock: str
    running: float
    top: float
    threads: int
    waiting: float | None
    switches: float


def check(run: Run) -> Finding:
    """Found with what the threads of the process used together and alone."""
    left = left_over(run, __name__, KIND)
    if isinstance(left, Finding):
        return left
    runtimes = run.manifest.launch.runtimes
    if not runtimes:
        return unknown(__name__, KIND, "the language runtime of the server is not known")
    if not set(runtimes.values()) & set(LOCKED_RUNTIMES):
        claim = "no process of the server runs an interpreter with a global lock"
        return finding(__name__, KIND, Verdict.CLEAR, claim)
    found = _interpreters(run)
    if not found:
        return unknown(__name__, KIND, "the interpreter's threads were not sampled")
    worst = max(found, key=lambda one: (_bound(one), one.running))
    rows = [
        Evidence("process_running", worst.running, "cores", BOUND_FROM, "samples.jsonl"),
        Evidence("top_thread_running", worst.top, "cores", TOP_BUSY, "samples.jsonl"),
        Evidence("threads_that_ran", worst.threads, "threads", 2, "samples.jsonl"),
        Evidence("unwanted_share", left.share, "ratio", ROOM_FOUND, "samples.jsonl"),
    ]
    if worst.waiting is not None:
        rows.append(
            Evidence("threads_in_lock", worst.waiting, "threads", MIN_WAITING, "samples.jsonl")
        )
    if run.load is not None and run.load.responses and run.load.duration_s > 0:
        each = worst.switches / (run.load.responses / run.load.duration_s)
        rows.append(Evidence("switches_per_response", each, "switches", None, "samples.jsonl"))
    bound = [one for one in found if _bound(one)]
    said = (
        f"{worst.threads} threads of {worst.name} (PID {worst.pid}) ran {worst.running:.2f} cores "
        f"together, the busiest {worst.top:.2f}"
    )
    unseen = process_cores(run).get(worst.pid, 0.0) - worst.running
    if worst.threads < 2 and unseen >= UNSEEN_CORES:
        rows.append(Evidence("short_threads", unseen, "cores", UNSEEN_CORES, "samples.jsonl"))
        why = (
            f"{worst.name} (PID {worst.pid}) used {unseen:.2f} cores more than its threads that "
            "were seen: they live too shortly, as one for each request does (thread_explosion)"
        )
        return unknown(__name__, KIND, why, rows)
    if worst.threads < 2:
        claim = f"no process runs on more than one thread of its own: {worst.name} on one"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    if not bound:
        if IDLE_BELOW <= worst.running < FREE_FROM and worst.top < TOP_BUSY:
            return unknown(__name__, KIND, f"{said}: near one core, but not at it", rows)
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    if worst.waiting is None:
        return unknown(__name__, KIND, f"{said}; what they wait for could not be seen", rows)
    if worst.waiting < MIN_WAITING:
        return unknown(__name__, KIND, f"{said}, but hardly one waited for the lock", rows)
    if left.share < ROOM_FOUND:
        return unknown(__name__, KIND, f"{said}, but few cores were left for more", rows)
    if _free_threaded(run, worst.pid):
        return unknown(
            __name__,
            KIND,
            f"{said}; the build can run without the lock: ask sys._is_gil_enabled(), or repeat "
            "with PYTHON_GIL=0",
            rows,
        )
    many = f"; {len(bound)} processes are like it" if len(bound) > 1 else ""
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{said}, while {worst.waiting:.1f} waited in a lock: the {worst.lock} lets one run at a "
        f"time{many}",
        rows,
        "start one process per core; threads help only while they wait (`diagnose findings "
        "gil_bound`)",
        explains=left.share,
    )


def _bound(one: _Interpreter) -> bool:
    """Several threads share one core, and none is the limit by itself."""
    return BOUND_FROM <= one.running <= BOUND_TO and one.threads > 1 and one.top < TOP_BUSY


def _interpreters(run: Run) -> list[_Interpreter]:
    threads: dict[int, list[ThreadTime]] = {}
    for row in thread_times(run):
        if runtime_of(run, row.use.pid) in LOCKED_RUNTIMES:
            threads.setdefault(row.use.pid, []).append(row)
    return [_one(pid, LOCKED_RUNTIMES[runtime_of(run, pid)], rows) for pid, rows in threads.items()]


def _one(pid: int, lock: str, rows: list[ThreadTime]) -> _Interpreter:
    running = sum(row.use.running for row in rows)
    seen = any(row.looks >= MIN_LOOKS for row in rows)
    return _Interpreter(
        pid=pid,
        name=rows[0].use.process,
        lock=lock,
        running=running,
        top=max(row.use.running for row in rows),
        threads=sum(row.use.running >= MIN_PART * running for row in rows) if running > 0 else 0,
        waiting=sum(row.share(Place.LOCK) for row in rows) if seen else None,
        switches=sum(row.switches or 0.0 for row in rows),
    )


def _free_threaded(run: Run, pid: int) -> bool:
    """The interpreter's name says that it was built to run without the lock (python3.13t)."""
    names = {process.name for sample in run.samples_in("window")[-1:] for process in
             sample.processes if process.pid == pid}  # fmt: skip
    words = {word.rpartition("/")[2] for word in run.manifest.launch.command} | names
    return any(word.startswith("python3") and word.endswith("t") for word in words)
