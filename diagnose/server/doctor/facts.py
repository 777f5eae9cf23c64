"""What was seen of the host. None: it could not be read."""

from __future__ import annotations

from dataclasses import dataclass, field

# A limit that is none, as a number that can be compared.
UNLIMITED = 1 << 62


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Limits of the kernel's TCP, in the kernel's units: tcp_mem in pages, wmem in bytes.

    ports: first and last local port. time_wait: sockets in that state now. tcp_mem: the pages from
    which TCP is at ease, under pressure, and at its end. tracked: connections in the connection
    tracking table while a connection of our own is open; None without such a table.
    """

    ports: tuple[int, int] | None = None
    somaxconn: int | None = None
    syn_backlog: int | None = None
    syncookies: int | None = None
    tw_reuse: int | None = None
    time_wait: int | None = None
    tcp_mem: tuple[int, ...] | None = None
    wmem: tuple[int, ...] | None = None
    page_bytes: int = 4096
    tracked: int | None = None
    tracked_max: int | None = None
    loopback_flags: int | None = None


@dataclass(frozen=True, slots=True)
class CpuFacts:
    """The cores and what governs them.

    allowed: cores that this process may use, online: those that the host has. mode: what a run
    would use of them, `split` or `shared`. quota_cores: the tightest limit of a cgroup above us,
    None without one; quota_file: where it is set. hypervisor: the CPU says that it is virtual;
    None where it has no way to say so. machine: maker and product by the firmware.
    """

    allowed: int = 1
    online: int = 1
    server: int = 1
    load: int = 1
    mode: str = "shared"
    quota_cores: float | None = None
    quota_file: str = ""
    governors: tuple[str, ...] = ()
    boost: bool | None = None
    boost_file: str = ""
    hypervisor: bool | None = None
    machine: str = ""
    clocksource: str | None = None
    clocksources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """Bytes. cgroup_free: what the tightest memory limit of a cgroup above us leaves."""

    total: int | None = None
    available: int | None = None
    cgroup_free: int | None = None
    swap_total: int | None = None
    swap_used: int | None = None
    swappiness: int | None = None


@dataclass(frozen=True, slots=True)
class Busy:
    """A process that is not ours, and the cores that it used."""

    name: str
    pid: int
    cores: float


@dataclass(frozen=True, slots=True)
class Watched:
    """The host over `seconds` of our own sleep. foreign, stolen: cores; swapped: pages in and out.

    busiest: the processes behind `foreign`, most first.
    """

    seconds: float
    foreign: float
    stolen: float
    swapped: int | None
    busiest: tuple[Busy, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something that was tried. works is None where it could not be tried; said: its own words."""

    works: bool | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Trials:
    """What was tried on a child of our own, and on sockets of our own."""

    perf: Attempt = field(default_factory=Attempt)
    py_spy: Attempt = field(default_factory=Attempt)
    loopback: Attempt = field(default_factory=Attempt)
    timestamps: Attempt = field(default_factory=Attempt)
    sock_diag: Attempt = field(default_factory=Attempt)


@dataclass(frozen=True, slots=True)
class RightsFacts:
    """What may be looked at.

    descriptors_*: limits of open files. capabilities: the effective set as a bit mask.
    ptrace_scope: of Yama, None without Yama. tools: paths by program, None where it is not on PATH.
    """

    descriptors_soft: int | None = None
    descriptors_hard: int | None = None
    capabilities: int | None = None
    perf_paranoid: int | None = None
    ptrace_scope: int | None = None
    schedstat: bool = False
    tools: dict[str, str | None] = field(default_factory=dict)
    trials: Trials = field(default_factory=Trials)

    def may(self, capability: int) -> bool:
        """Whether this process holds the capability of that number. Source: capabilities(7)."""
        return bool((self.capabilities or 0) >> capability & 1)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the doctor looks at. watched is None where the host was not watched."""

    network: NetworkFacts = field(default_factory=NetworkFacts)
    cpu: CpuFacts = field(default_factory=CpuFacts)
    memory: MemoryFacts = field(default_factory=MemoryFacts)
    rights: RightsFacts = field(default_factory=RightsFacts)
    watched: Watched | None = None
