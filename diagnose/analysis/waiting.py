"""Who waits, on what, called from where: the stacks of sleeping threads.

A stack that was seen without load as well (`[at rest]`), and one that ends in a wait for work (an
event loop's select, an accept, an idle pool's queue), is that of a thread with nothing to do: it
holds nobody up, and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from diagnose.analysis.frames import Frame, blamed, frame
from diagnose.analysis.thread_time import BLOCKING, Place, place_of
from diagnose.model.profile import AT_REST, Profile

# What a thread without work ends in, where it was not seen at rest: an event loop, an accept, the
# queue of a pool. The three innermost frames are looked at.
_IDLE = re.compile(
    r"Selector\.(select|poll)|^select \(|^_worker \(.*concurrent/futures/thread|^accept \(|"
    r"^(get|_get|Queue\.get|SimpleQueue\.get) \(.*queue\.py|^Thread\.join|_wait_for_tstate_lock|"
    r"\.accept \(.*socket\.py|serve_forever|ThreadPoolExecutor\.getTask|ForkJoinPool\.awaitWork|"
    r"BlockingQueue\.(take|poll)|EPoll\.wait|EPollSelectorImpl|ServerSocketImpl\.accept|Net\.accept|"
    r"Hub\.run|loop\.run\b|run_forever \(.*uvloop"
)
# A thread of a pool begins here, an event loop of the main thread does not. One of the JVM's begins
# as all of its threads do, and then says of which pool it is.
_POOL_THREAD = re.compile(
    r"^Thread\._bootstrap \(|^_bootstrap \(|"
    r"ThreadPoolExecutor\$Worker\.run|ForkJoinWorkerThread\.run"
)
# So many of the outermost frames tell.
_BEGINNING = 4
_EVENT_LOOP = re.compile(r"run_forever|_run_once|run_until_complete|Runner\.run")
# Shares of fewer looks, or of fewer seen waits, are chance.
MIN_LOOKS = 2
MIN_WEIGHT = 5
# One place is named when most of what waits stands in it.
MOST = 0.5


@dataclass(frozen=True, slots=True)
class WaitSite:
    """A place in the code where threads slept.

    share: of all waiting of the kinds that were asked for, what rests left out. at_once: the mean
    number of threads in it. inner: the innermost frame where it is another one, '' else.
    """

    at: Frame
    inner: str
    place: Place
    share: float
    at_once: float
    pid: int
    looks: int
    source: str


def wait_site(
    waits: Iterable[Profile],
    places: Sequence[Place],
    suits: Callable[[Sequence[str]], bool] = lambda stack: True,
) -> WaitSite | None:
    """Where most of the waiting of these kinds happens; None where no place has half of it.

    suits: which stacks count, thread name first.
    """
    best: WaitSite | None = None
    for profile in waits:
        note = profile.note
        if note.kind != "off-cpu" or note.unit != "samples" or note.samples < MIN_LOOKS:
            continue
        totals: dict[tuple[Frame, Place, str], int] = {}
        everything = 0
        for stack, count in profile.stacks:
            place = place_of(stack[-1])
            if place not in places or idle(stack) or not suits(stack):
                continue
            everything += count
            at = blamed(stack[1:-1])
            if at is not None:
                inner = frame(stack[-2])
                key = (at, place, "" if inner == at else inner.short)
                totals[key] = totals.get(key, 0) + count
        if not totals:
            continue
        (at, place, inner_text), count = max(totals.items(), key=lambda item: item[1])
        if count < MIN_WEIGHT or count < MOST * everything:
            continue
        site = WaitSite(
            at, inner_text, place, count / everything, count / note.samples, note.pid, note.samples,
            f"profiles/{note.file}",
        )  # fmt: skip
        if best is None or site.at_once > best.at_once:
            best = site
    return best


def idle(stack: Sequence[str]) -> bool:
    """A thread without work. stack: thread name, frames, kernel function."""
    if len(stack) > 1 and stack[1] == AT_REST:
        return True
    if place_of(stack[-1]) is Place.ACCEPT:
        return True
    return any(_IDLE.search(text) for text in stack[1:-1][-3:])


def in_event_loop(stack: Sequence[str]) -> bool:
    """The stack is that of a thread that runs an event loop, as far as can be told."""
    frames = stack[1:-1]
    if not frames:
        return False
    pool = any(_POOL_THREAD.search(text) for text in frames[:_BEGINNING])
    return not pool or any(_EVENT_LOOP.search(text) for text in frames)


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Who had the interpreter's lock most often: share of the looks that found a holder."""

    at: Frame
    share: float
    looks: int
    source: str


# A holder is named from so many looks on; by chance alone one of three equal ones has half of 10
# looks once in five.
MIN_HOLDERS = 12


def lock_holder(waits: Iterable[Profile]) -> LockHolder | None:
    """The function that had the interpreter's lock in most looks; None without half of them."""
    for profile in waits:
        if profile.note.kind != "lock" or profile.weight < MIN_HOLDERS:
            continue
        totals: dict[tuple[str, str], int] = {}
        first: dict[tuple[str, str], tuple[int, Frame]] = {}
        for stack, count in profile.stacks:
            at = blamed(stack[1:])
            if at is not None:
                key = (at.function, at.file)
                totals[key] = totals.get(key, 0) + count
                first[key] = max(first.get(key, (0, at)), (count, at), key=lambda one: one[0])
        if not totals:
            continue
        key, count = max(totals.items(), key=lambda item: item[1])
        if count >= MOST * profile.weight:
            source = f"profiles/{profile.note.file}"
            return LockHolder(first[key][1], count / profile.weight, profile.weight, source)
    return None


# Functions in which a thread waits for a lock; the frame outside of them is the lock's caller.
_NATIVE_LOCK = re.compile(
    r"lll_lock_wait|pthread_mutex_lock|pthread_rwlock_(rd|wr)lock|PyThread_acquire_lock|"
    r"sem_wait|Mutex::lock|RawMutex|flock$|fcntl"
)
_GIL = re.compile(r"\btake_gil\b|rb_mutex_lock|gvl_acquire|thread_sched_to_running")
_PLUMBING = re.compile(
    r"^(acquire_timed|lock_PyThread_acquire_lock|cfunction_|_PyObject_|PyObject_|_PyEval_|"
    r"PyEval_|method_vectorcall|lock___enter__|rlock_|_?_?new_sem|\[|_)|@GLIBC|"
    r"^(u|nano|clock_nano)?sleep$|^p?poll$|^p?select$|^epoll_p?wait$|^recv(from|msg)?$|^read$"
)
_KERNEL_ENTRY = re.compile(r"^(entry_SYSCALL|do_syscall_64|el0_svc|el0t_64_sync|ret_from_syscall)")
# Their own frames have no names here: the dumps tell more.
_UNNAMED_RUNTIMES = ("jvm", "cpython", "node", "ruby")


@dataclass(frozen=True, slots=True)
class NativeWait:
    """Off-CPU time in one kind of wait: mean number of threads in it; caller: whose function it
    was, with its share of that time."""

    at_once: float
    caller: str
    share: float
    source: str


def native_lock(waits: Iterable[Profile]) -> NativeWait | None:
    """Threads asleep in a contended native lock, and its most frequent caller by time."""

    def caller(stack: Sequence[str]) -> str | None:
        depth = _depth(stack, _NATIVE_LOCK)
        return None if depth is None or _depth(stack, _GIL) else _named(stack[1:depth])

    return _native(waits, caller, without=_UNNAMED_RUNTIMES)


def native_block(waits: Iterable[Profile]) -> NativeWait | None:
    """Threads in a call that does nothing but wait, and who called it."""

    def caller(stack: Sequence[str]) -> str | None:
        call = native_call(stack)
        return call.caller if call is not None and call.place in BLOCKING else None

    return _native(waits, caller, without=_UNNAMED_RUNTIMES)


@dataclass(frozen=True, slots=True)
class NativeCall:
    """A sleep as the scheduler records it: for what, called by which function ('' where it has no
    name), and the number of frames above the kernel's, thread name among them."""

    place: Place
    caller: str
    depth: int


def native_call(stack: Sequence[str]) -> NativeCall | None:
    """What a stack of the scheduler's records waits for; None where it has no kernel frames."""
    depth = _depth(stack, _KERNEL_ENTRY)
    if depth is None:
        return None
    places = (place_of(text) for text in reversed(stack[depth:]))
    place = next((place for place in places if place is not Place.OTHER), Place.OTHER)
    return NativeCall(place, _named(stack[1:depth]), depth)


def interpreter_lock(waits: Iterable[Profile]) -> NativeWait | None:
    """Threads asleep until they get the interpreter's lock."""
    return _native(waits, lambda stack: "" if _depth(stack, _GIL) else None)


def _depth(stack: Sequence[str], wanted: re.Pattern[str]) -> int | None:
    """Where a function is called, from the outside; the thread's name is none."""
    return next((n for n, text in enumerate(stack) if n and wanted.search(text)), None)


def _named(frames: Sequence[str]) -> str:
    """The innermost function that is the program's, not the C library's."""
    return next((text for text in reversed(frames) if not _PLUMBING.search(text)), "")


def _native(
    waits: Iterable[Profile],
    caller_of: Callable[[Sequence[str]], str | None],
    without: Sequence[str] = (),
) -> NativeWait | None:
    best: NativeWait | None = None
    for profile in waits:
        note = profile.note
        if note.kind != "off-cpu" or note.unit != "us" or note.seconds <= 0:
            continue
        if note.runtime in without:
            continue
        callers: dict[str, int] = {}
        for stack, count in profile.stacks:
            caller = caller_of(stack)
            if caller is not None:
                callers[caller] = callers.get(caller, 0) + count
        if not callers:
            continue
        total = sum(callers.values())
        caller, most = max(callers.items(), key=lambda item: item[1])
        at_once = total / 1e6 / note.seconds
        if best is None or at_once > best.at_once:
            best = NativeWait(at_once, caller, most / total, f"profiles/{note.file}")
    return best
