"""Calls of contended locks in a profile, and who made them.

A profile of running threads shows a contended lock by what it costs to go to sleep and to wake the
next one. These are functions that are entered only when somebody has to wait; a lock that is free
is taken without them, and so are not those by which a runtime puts its own idle threads to sleep.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from diagnose.model.profile import Profile

# glibc, Go, Rust (std, parking_lot), HotSpot's monitors, .NET's; names from their sources.
_CONTENDED = re.compile(
    r"lll_lock_wa|pthread_mutex_.*slow|pthread_rwlock_.*slow|pthread_cond_signal_slow|"
    r"sync\.\(\*(RW)?Mutex\)\.(lock|unlock|rLock|rUnlock)Slow|sync\.runtime_SemacquireMutex|"
    r"futex_mutex.*lock_contended|Mutex::lock_contended|lock_api.*lock_slow|RawMutex.*_slow|"
    r"ObjectMonitor::(enter|EnterI|exit_epilog|TrySpin)|AwareLock::(Enter|Contention)|"
    r"JIT_MonContention"
)
MIN_WEIGHT = 20


@dataclass(frozen=True, slots=True)
class LockFrames:
    """Share of a profile in contended locks, the lock's function, its most frequent caller."""

    share: float
    lock: str
    caller: str
    source: str


def lock_frames(profiles: Iterable[Profile]) -> LockFrames | None:
    """The profile with the largest share in contended locks; None without one of 20 samples."""
    worst: LockFrames | None = None
    for profile in profiles:
        if profile.weight < MIN_WEIGHT:
            continue
        callers: Counter[tuple[str, str]] = Counter()
        for frames, count in profile.stacks:
            for place, frame in enumerate(frames):
                if _CONTENDED.search(frame):
                    callers[frame, frames[place - 1] if place else "?"] += count
                    break
        share = callers.total() / profile.weight
        (lock, caller), _ = callers.most_common(1)[0] if callers else (("", ""), 0)
        if worst is None or share > worst.share:
            worst = LockFrames(share, lock, caller, "profiles")
    return worst
