"""What the sampler saw of the server and of the host.

Counters are cumulative and in seconds or bytes; rates are derived later. Rows are stored as
arrays in the order of the fields, because a run holds hundreds of thousands of them.
"""

from __future__ import annotations

import msgspec


class ThreadSample(msgspec.Struct, frozen=True, array_like=True):
    """One thread. run_s and wait_s: on a core and in the run queue (schedstat); busy is their sum.

    state: one letter of proc(5). Switches are -1 where they were not read in this sample.
    """

    tid: int
    name: str
    state: str
    core: int
    user_s: float
    system_s: float
    run_s: float
    wait_s: float
    voluntary_switches: int = -1
    involuntary_switches: int = -1


class ProcessSample(msgspec.Struct, frozen=True, array_like=True):
    """One process. Memory in bytes; user_s and system_s include threads that have ended.

    read_bytes and written_bytes pass through system calls, sockets included; disk_* reach storage.
    Figures that this user may not read are -1.
    """

    pid: int
    parent: int
    name: str
    user_s: float
    system_s: float
    rss: int
    anonymous: int
    file: int
    shared: int
    peak: int
    thread_count: int
    descriptors: int
    read_bytes: int
    written_bytes: int
    disk_read: int
    disk_written: int
    minor_faults: int
    major_faults: int
    threads: tuple[ThreadSample, ...]


class SocketSample(msgspec.Struct, frozen=True, array_like=True):
    """TCP sockets of the port under test, both ends, as the kernel's sock_diag lists them.

    unread_*: bytes that arrived and that the server has not read. unsent_bytes: what the server
    wrote and the client has not acknowledged. client_unsent_bytes: what the client wrote and the
    server's kernel has not acknowledged. accept_queue of accept_backlog is the fullest listener.
    """

    established: int
    unread_sockets: int
    unread_bytes: int
    unsent_bytes: int
    client_unsent_bytes: int
    accept_queue: int
    accept_backlog: int


class HostSample(msgspec.Struct, frozen=True, array_like=True):
    """The host: busy seconds of each core since boot (idle and iowait excluded; -1:
    offline), seconds stolen by the hypervisor, available memory in bytes."""

    busy_s: tuple[float, ...]
    steal_s: float
    available: int


class Sample(msgspec.Struct, frozen=True):
    """Everything at time `t` (monotonic). cpu_s: what the sampler itself has used so far."""

    t: float
    host: HostSample
    processes: tuple[ProcessSample, ...]
    sockets: SocketSample | None = None
    gone: tuple[int, ...] = ()
    cpu_s: float = 0.0

    @property
    def rss(self) -> int:
        """RSS of the whole tree, shared pages counted once per process."""
        return sum(process.rss for process in self.processes)

    @property
    def held(self) -> int:
        """Anonymous and shared memory of the tree: what a memory limit counts."""
        return sum(process.anonymous + process.shared for process in self.processes)
