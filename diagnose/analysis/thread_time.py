"""How each thread of the server spent its time: running, waiting for a core, or asleep, and where.

A thread that sleeps is in one of a few places, whatever language it is written in: in a lock or an
idle pool (futex), in an event loop that has nothing to do (epoll), in a blocking call (a sleep, a
socket, a child, a disk). Which one tells a server that has nothing to do from one that is held up.
Kernel functions are named differently from version to version: those of Linux 4.18 to 6.18 are
here.

Source: proc(5), /proc/PID/wchan, and the functions of these names in Linux.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from diagnose.analysis.observe import ThreadUse, usage
from diagnose.analysis.observe_threads import switches, wait_channels
from diagnose.model.run import Run


class Place(StrEnum):
    """Where a thread sleeps, in words."""

    LOCK = "a lock or an empty queue"
    READY = "a wait for events"
    ACCEPT = "a wait for connections"
    SOCKET = "a blocking socket call"
    SLEEP = "a sleep"
    PIPE = "a pipe"
    CHILD = "a wait for a child process"
    DISK = "a wait for storage"
    OTHER = "another wait"


# Parts of names; the first that fits counts.
_CHANNELS: tuple[tuple[Place, tuple[str, ...]], ...] = (
    (Place.LOCK, ("futex", "locks_lock_inode", "flock", "posix_lock", "semtimedop", "do_semop")),
    (Place.LOCK, ("rwsem", "mutex_lock")),
    (Place.READY, ("ep_poll", "epoll_wait", "poll_schedule", "do_select", "do_sys_poll")),
    (Place.READY, ("do_poll", "io_cqring")),
    (Place.ACCEPT, ("csk_accept", "csk_wait_for_connect")),
    # wait_woken is where a blocking read of a TCP socket sleeps (by sk_wait_data).
    (Place.SOCKET, ("wait_woken", "sk_wait", "tcp_recvmsg", "stream_data_wait")),
    (Place.SOCKET, ("stream_wait_memory", "stream_read_generic", "wait_for_more_packets")),
    (Place.SLEEP, ("nanosleep", "nsleep")),
    (Place.PIPE, ("pipe_read", "pipe_write", "pipe_wait")),
    (Place.CHILD, ("do_wait", "kernel_wait", "wait4")),
    (Place.DISK, ("io_schedule", "wait_on_page", "folio_wait", "wait_on_bit", "wait_on_buffer")),
    (Place.DISK, ("jbd2", "ext4_", "xfs_", "btrfs_", "blkdev", "rq_qos_wait", "submit_bio")),
)
# Calls that keep a thread until something else is done: it does nothing else meanwhile.
BLOCKING = (Place.SOCKET, Place.SLEEP, Place.PIPE, Place.CHILD, Place.DISK)


def place_of(channel: str) -> Place:
    """What a thread that sleeps in that kernel function waits for."""
    for place, parts in _CHANNELS:
        if any(part in channel for part in parts):
            return place
    return Place.OTHER


@dataclass(frozen=True, slots=True)
class ThreadTime:
    """One thread over a stretch of time, in shares of it (0 to 1).

    use: how long it ran and waited for a core. asleep: by place; empty where the places of its
    sleep were not sampled. looks: how often that was. switches: by its own will, per second; None
    where they were not read twice.
    """

    use: ThreadUse
    asleep: Mapping[Place, float]
    looks: int
    switches: float | None

    @property
    def key(self) -> tuple[int, int]:
        """Process and thread number."""
        return self.use.pid, self.use.tid

    def share(self, *places: Place) -> float:
        """The share of the time that it slept in these places."""
        return sum(self.asleep.get(place, 0.0) for place in places)


def thread_times(run: Run, phase: str = "window") -> tuple[ThreadTime, ...]:
    """Every thread of a phase, the busiest first; empty where threads were not sampled."""
    used = usage(run, phase)
    if used is None:
        return ()
    waits = {(row.pid, row.tid): row for row in wait_channels(run, phase)}
    rates = {(row.pid, row.tid): row.voluntary for row in switches(run, phase)}
    times = []
    for use in used.threads:
        key = (use.pid, use.tid)
        asleep: dict[Place, float] = {}
        if key in waits:
            for channel, share in waits[key].channels.items():
                place = place_of(channel)
                slept = max(0.0, 1.0 - use.busy) * share
                asleep[place] = asleep.get(place, 0.0) + slept
        looks = waits[key].asleep if key in waits else 0
        times.append(ThreadTime(use, asleep, looks, rates.get(key)))
    return tuple(times)
