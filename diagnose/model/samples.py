"""What the sampler saw of the server and of the host.

Counters are cumulative and in seconds or bytes; rates are derived later. Rows are stored as
arrays in the order of the fields, because a run holds hundreds of thousands of them.
"""

from __future__ import annotations

import msgspec


class ThreadSample(msgspec.Struct, frozen=True, array_like=True):
    """One thread. run_s and wait_s: on a core and in the run queue (schedstat); busy is their sum.

    state: one letter of proc(5). Switches are -1 where they were not read in this sample.
    wait_channel: the kernel function that it sleeps in (/proc/PID/task/TID/wchan); '' where it was
    running or not read.
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
    wait_channel: str = ""


class ProcessSample(msgspec.Struct, frozen=True, array_like=True):
    """One process. Memory in bytes; user_s and system_s include threads that have ended.

    read_bytes and written_bytes pass through system calls, sockets included; disk_* reach storage.
    These and descriptors may be 0.5 s old. peak: the highest RSS since `peak_since` (monotonic
    seconds; 0.0: since the process began). pss: RSS with shared pages divided by the processes that
    share them, read rarely. children_*: CPU time of children that have ended and were waited for.
    read_calls and written_calls: system calls of the read and the write family (read, readv, write,
    sendfile ...; recv and send are not counted by the kernel, nor are their bytes).
    Figures that this user may not read, or that were not read in this sample, are -1.
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
    pss: int = -1
    children_user_s: float = 0.0
    children_system_s: float = 0.0
    peak_since: float = 0.0
    read_calls: int = -1
    written_calls: int = -1


class SocketSample(msgspec.Struct, frozen=True, array_like=True):
    """TCP sockets of the port under test, both ends, as the kernel's sock_diag lists them.

    unread_*: bytes that arrived and that the server has not read. unsent_bytes: what the server
    wrote and the client has not acknowledged. client_unsent_bytes: what the client wrote and the
    server's kernel has not acknowledged. accept_queue of accept_backlog is the fullest listener.
    close_wait: connections that the client has closed and the server has not. Read less often than
    the listeners, because it costs 0.3 us a socket.
    """

    established: int
    unread_sockets: int
    unread_bytes: int
    unsent_bytes: int
    client_unsent_bytes: int
    accept_queue: int
    accept_backlog: int
    unsent_sockets: int = -1
    close_wait: int = -1


class ListenerSample(msgspec.Struct, frozen=True, array_like=True):
    """The listening sockets of the port under test. accept_queue of accept_backlog is the fullest;
    queued: connections that wait to be accepted, over all of them."""

    accept_queue: int
    accept_backlog: int
    listeners: int
    queued: int


class NetworkSample(msgspec.Struct, frozen=True, array_like=True):
    """Cumulative TCP counters of the network namespace of the server, all its ports together.

    listen_overflows, listen_drops: connections that found an accept queue full. delayed_acks:
    acknowledgements sent late, on purpose (some 40 ms). active_opens, passive_opens: connections
    made and accepted. resets: sent. Source: /proc/PID/net/netstat and snmp.
    """

    listen_overflows: int
    listen_drops: int
    retransmits: int
    delayed_acks: int
    active_opens: int
    passive_opens: int
    resets: int


class PressureSample(msgspec.Struct, frozen=True, array_like=True):
    """Seconds since boot in which some, or all (full), work of the host waited for a resource.

    Source: Documentation/accounting/psi.rst.
    """

    cpu_some_s: float
    io_some_s: float
    io_full_s: float
    memory_some_s: float
    memory_full_s: float


class CgroupSample(msgspec.Struct, frozen=True, array_like=True):
    """The tightest cgroup above the server. quota_cores: CPU quota in cores; -1: none.

    Cumulative: periods in which it ran, periods in which it was throttled, throttled seconds,
    kills for want of memory. memory_*: bytes; -1 where there is no figure or no limit.
    """

    quota_cores: float
    periods: int
    throttled_periods: int
    throttled_s: float
    memory_bytes: int
    memory_peak: int
    memory_limit: int
    oom_kills: int


class OpenFile(msgspec.Struct, frozen=True, array_like=True):
    """A regular file that the server has open for writing: its path as the kernel tells it (with
    ` (deleted)` where it has no name any more), its size, and when it was first seen."""

    path: str
    size: int
    since: float


class FilesSample(msgspec.Struct, frozen=True, array_like=True):
    """Regular files that the server's processes have open for writing, each counted once.

    files: those known longest, MOST_FILES at the most. count, bytes: all of them.
    """

    files: tuple[OpenFile, ...]
    count: int
    bytes: int


# A server has a few logs and databases open; files of request bodies come by the hundred.
MOST_FILES = 12


class PeerSample(msgspec.Struct, frozen=True, array_like=True):
    """Connections from the server's processes to one other address, `host:port` or `unix:path`.

    waiting: of these, connections that last sent something and have had nothing back since;
    undecided: sent and received last in the same tick of the kernel's clock. Both are -1 for unix
    sockets, of which the kernel tells no times. tick_ms: that tick, by the times that were seen so
    far (1 to 10; more than it is while few were seen); 0 before any.
    """

    address: str
    connections: int
    waiting: int
    undecided: int
    tick_ms: int = 0


class HostSample(msgspec.Struct, frozen=True, array_like=True):
    """The host: busy seconds of each core since boot (idle and iowait excluded; -1:
    offline), seconds stolen by the hypervisor, available memory in bytes."""

    busy_s: tuple[float, ...]
    steal_s: float
    available: int


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything at time `t` (monotonic). cpu_s: what the sampler itself has used so far.

    gone: processes that ended since the sample before. forks: processes that the tree has started
    since sampling began, however short they lived; -1 where that cannot be counted. forks_at_least:
    the count holds only those that lived long enough to be seen. What was not read in a sample is
    None: most parts are read less often than the processes.
    """

    t: float
    host: HostSample
    processes: tuple[ProcessSample, ...]
    sockets: SocketSample | None = None
    gone: tuple[int, ...] = ()
    cpu_s: float = 0.0
    network: NetworkSample | None = None
    pressure: PressureSample | None = None
    cgroup: CgroupSample | None = None
    forks: int = -1
    forks_at_least: bool = False
    listeners: ListenerSample | None = None
    files: FilesSample | None = None
    downstream: tuple[PeerSample, ...] | None = None

    @property
    def rss(self) -> int:
        """RSS of the whole tree, shared pages counted once per process."""
        return sum(process.rss for process in self.processes)

    @property
    def held(self) -> int:
        """Anonymous and shared memory of the tree: what a memory limit counts."""
        return sum(process.anonymous + process.shared for process in self.processes)
