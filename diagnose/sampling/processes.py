"""The processes of the server's tree: found when something forked, read until they are gone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

from diagnose.model.samples import ProcessSample
from diagnose.process_tree import descendants
from diagnose.sampling.forks import ForkListener
from diagnose.sampling.process import Asked, ProcessReader
from diagnose.sampling.schedule import Lowered, Schedule, fair_s

# Shares of one core: what each kind of reading may take at most. Threads: 512 that sleep cost 2 ms.
THREADS_SHARE = 0.007
THREADS_FAIR = 0.001
DETAILS_SHARE = 0.01
DETAILS_FAIR = 0.001
# Of a few threads each look counts: two that were at work for most of a window of 1.8 s were seen
# asleep in two of eight looks.
FEW_DETAILS_FAIR = 0.003
# So often in the measured window, where the greater share allows it: rules ask for three.
DETAILS_LOOKS = 4
TREE_SHARE = 0.002
PSS_SHARE = 0.0005
TREE_S = 0.25
# Walking the tree costs 10 us a thread: in between only what forked is looked at.
WALK_S = 5.0
# A process that is found later than this has been missed by much of a window.
LATE_S = 1.0
# As often as its share allows: in a window of two seconds four looks at where a thread sleeps, some
# of them while it runs, would say nothing.
DETAILS_S = 0.1
PSS_S = 2.0
# While PSS is read the process cannot map memory: 10 ms of it (1 GiB of RSS) would show in its p99.
PSS_LIMIT_S = 0.01
# So few are read in every sample: their schedule would cost what they do.
FEW_THREADS = 8
_PLAIN = Asked(threads=False, forked=False)
_FEW = Asked(threads=True, forked=False)


class ProcessTable:
    """Reads the tree below `root`, itself included or not."""

    def __init__(
        self, root: int, include_root: bool, period_s: float, window_s: float = 5.0
    ) -> None:
        self._root = root
        self._include_root = include_root
        self._readers: dict[int, ProcessReader] = {}
        self._ended: set[int] = set()
        self._born: list[int] = []
        self._tree = Schedule("the process tree", TREE_S, TREE_SHARE)
        self._threads = Schedule("threads", period_s, THREADS_SHARE, THREADS_FAIR, fair_s(window_s))
        self._details = Schedule(
            "wait channels and switches",
            DETAILS_S,
            DETAILS_SHARE,
            DETAILS_FAIR,
            window_s / DETAILS_LOOKS,
        )
        self._pss = Schedule("PSS", PSS_S, PSS_SHARE)
        self._pss_turn = 0
        self._pss_left_out: dict[int, float] = {}
        self._unread_threads = 0
        # Forks of the host: now, when the tree was walked, and when the threads were read.
        self._started = self._tree_at = self._threads_at = -1
        self._threads_cost = 0.0
        self._latest_s = 0.0
        self._few = False
        self._due_at = 0.0
        # Of the last read: processes that were gone, and CPU seconds of what has its own schedule.
        self.gone: list[int] = []
        self.costly_s = 0.0
        self._next_walk = 0.0
        # Processes that the tree has started since the beginning, and whether more may have come.
        self.forks = 0
        self.forks_at_least = False
        self._listener: ForkListener | None = None
        with contextlib.suppress(OSError):
            self._listener = ForkListener([root])
        self.forks_at_least = self._listener is None

    @property
    def pids(self) -> list[int]:
        """Those that are read, the first found first."""
        return list(self._readers)

    def read(self, now: float, started: int) -> list[ProcessSample]:
        """The processes as they are now. started: forks of the host so far, -1 when not known."""
        self.gone = []
        self.costly_s = 0.0
        if started < 0 or started != self._started:
            self._started = started
            self._hear()
            self._due_at = 0.0
        if now < self._due_at:
            return self._read(now, _FEW if self._few else _PLAIN, -1, -1)
        return self._read_costly(now)

    def _hear(self) -> None:
        if self._listener is None:
            return
        self._born += self._listener.read()
        self.forks = self._listener.count
        self.forks_at_least = self._listener.lost

    def _read(self, now: float, asked: Asked, pss_of: int, pss: int) -> list[ProcessSample]:
        samples: list[ProcessSample] = []
        for pid, reader in self._readers.items():
            try:
                samples.append(reader.read(now, asked, pss if pid == pss_of else -1))
            except (OSError, ValueError):
                self.gone.append(pid)
        for pid in self.gone:
            self._readers.pop(pid).close()
            self._ended.add(pid)
        return samples

    def _read_costly(self, now: float) -> list[ProcessSample]:
        """The same, with what has a schedule of its own and is due."""
        clock = time.thread_time
        self._look(now)
        pss_of, pss = self._read_pss(now)
        threads = self._few or self._threads.due(now)
        details = threads and self._details.due(now)
        forked = self._started < 0 or self._started != self._threads_at
        began = clock()
        samples = self._read(now, Asked(threads, details, forked), pss_of, pss)
        if threads:
            self._threads_at = self._started
            self._pay_threads(now, clock() - began, details)
            unread = sum(reader.unread_threads for reader in self._readers.values())
            self._unread_threads = max(self._unread_threads, unread)
            self._few = sum([len(sample.threads) for sample in samples]) <= FEW_THREADS
        self._due_at = min(
            self._tree.due_at if self._born or self._forks_unseen else self._next_walk,
            self._details.due_at if self._few else self._threads.due_at,
            self._pss.due_at,
        )
        return samples

    def _pay_threads(self, now: float, cost: float, details: bool) -> None:
        if details:
            # Its own part of the cost; the rest was to be read anyway.
            extra = max(0.0, cost - self._threads_cost)
            self._details.done(now, extra, FEW_DETAILS_FAIR if self._few else None)
            self.costly_s += extra
            cost -= extra
        self._threads_cost = cost
        if not self._few:
            self.costly_s += cost
            self._threads.done(now, cost)

    def _look(self, now: float) -> None:
        """Look for processes that are new, where there may be any.

        A listener that missed nothing tells all of them; the tree itself is walked for what it
        missed before it listened.
        """
        walk = now >= self._next_walk or not self._readers or self._forks_unseen
        if not (walk or self._born) or not self._tree.due(now):
            return
        began = time.thread_time()
        if walk:
            self._walk()
            self._tree_at = self._started
            self._next_walk = now + WALK_S
        self._open(self._born)
        self._born = []
        if self._listener is not None:
            self._listener.settle([self._root, *self._readers])
        cost = time.thread_time() - began
        self.costly_s += cost
        self._tree.done(now, cost)
        self._latest_s = max(self._latest_s, self._tree.interval_s)

    @property
    def _forks_unseen(self) -> bool:
        """Something was started on the host, and nobody told whether by the tree."""
        return self.forks_at_least and (self._started < 0 or self._started != self._tree_at)

    def _walk(self) -> None:
        pids = descendants(self._root)
        if self._include_root:
            pids.append(self._root)
        # One that has ended stays listed until its parent waits for it.
        self._ended.intersection_update(pids)
        first = not self._readers
        opened = self._open(pid for pid in pids if pid not in self._ended)
        if self.forks_at_least and not first:
            self.forks += opened

    def _open(self, pids: Iterable[int]) -> int:
        """Begin to read those that are alive and new; how many there were."""
        before = len(self._readers)
        for pid in pids:
            if pid not in self._readers:
                with contextlib.suppress(OSError):
                    self._readers[pid] = ProcessReader(pid)
        return len(self._readers) - before

    def _read_pss(self, now: float) -> tuple[int, int]:
        """(process, its PSS): one process after the other, one a second."""
        candidates = [pid for pid in self._readers if pid not in self._pss_left_out]
        if not candidates or not self._pss.due(now):
            return -1, -1
        self._pss_turn += 1
        pid = candidates[self._pss_turn % len(candidates)]
        began = time.thread_time()
        pss = -1
        with contextlib.suppress(OSError, ValueError):
            pss = self._readers[pid].read_pss()
        cost = time.thread_time() - began
        if cost > PSS_LIMIT_S:
            self._pss_left_out[pid] = cost
        self.costly_s += cost
        self._pss.done(now, cost)
        return pid, pss

    def mark(self) -> None:
        """A phase begins: everything is due."""
        self._threads.now()
        self._details.now()
        self._due_at = 0.0
        for reader in self._readers.values():
            reader.refresh()

    def reset_peaks(self, now: float) -> None:
        """The peak of each process counts from here on."""
        for reader in self._readers.values():
            reader.reset_peak(now)

    def lowered(self) -> list[Lowered | None]:
        """What was read less often than it should have been."""
        return [
            schedule.lowered() for schedule in (self._tree, self._threads, self._details, self._pss)
        ]

    def remarks(self) -> list[str]:
        """What could not be read."""
        said = []
        if self._pss_left_out:
            pid, cost = max(self._pss_left_out.items(), key=lambda item: item[1])
            count = len(self._pss_left_out)
            plural = "" if count == 1 else "es"
            said.append(
                f"PSS of {count} process{plural} was not read again: one reading of "
                f"PID {pid} held it up for {cost * 1e3:.0f} ms"
            )
        if self._latest_s > LATE_S:
            said.append(
                f"new processes were found up to {self._latest_s:.1f} s late: a look at the "
                f"tree took {self._latest_s * TREE_SHARE * 1e3:.1f} ms of CPU time"
            )
        if self._unread_threads:
            said.append(
                f"up to {self._unread_threads} threads were not read: no descriptor was left for "
                "them (`ulimit -Hn`), or they ended at once"
            )
        if self._listener is None:
            said.append(
                "forks: only processes that lived long enough to be seen were counted (the process "
                "connector tells of all: to root, since Linux 6.6 to all, but not in containers)"
            )
        elif self._listener.lost:
            said.append("forks: some were lost, the host started too many at once")
        return said

    def close(self) -> None:
        """Give all descriptors back."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
        if self._listener is not None:
            self._listener.close()
