"""Connections: how many this host can open, queue and carry."""

from __future__ import annotations

from diagnose.server.doctor.check import Check, Outcome, untold
from diagnose.server.doctor.facts import UNLIMITED, Facts
from diagnose.server.host import SPARE_DESCRIPTORS
from diagnose.units import MIB, format_bytes

# The benchmark's profiles: most connections, most of those that are opened again and again, and
# most uploads of 20 MiB at a time.
MOST_CONNECTIONS = 16_384
MOST_REOPENED = 4_096
MOST_UPLOADS = 512
UPLOAD_BYTES = 20 * MIB
# The load generator opens so many connections at once before it waits for them.
CONNECT_BATCH = 64
# The smallest count of the profiles that are not uploads: with less there is little to measure.
FEWEST_CONNECTIONS = 512
# One write of an upload; a send buffer below this is filled by a single write.
SLICE_BYTES = 256 * 1024
# Kernels give at least so much where memory is ordinary; only without SYN cookies does it matter.
SYN_BACKLOG = 1024
CAP_SYS_RESOURCE = 24
IFF_UP = 1


def check_descriptors(facts: Facts) -> Check:
    """One process may hold all connections of the largest profile: a server with one process."""
    name, rights = "descriptors", facts.rights
    soft, hard = rights.descriptors_soft, rights.descriptors_hard
    if soft is None or hard is None:
        return untold(name, "how many files a process may open")
    needed = MOST_CONNECTIONS + SPARE_DESCRIPTORS
    value = f"soft {_limit(soft)}, hard {_limit(hard)}"
    if hard >= needed:
        return Check(
            name,
            Outcome.OK,
            value,
            f"{needed:,} are enough for {MOST_CONNECTIONS:,} connections in one process; a run "
            "raises the soft limit by itself",
        )
    holds = max(0, hard - SPARE_DESCRIPTORS)
    raised = 4 * MOST_CONNECTIONS
    # Source: setrlimit(2): only CAP_SYS_RESOURCE may raise a hard limit, even for root.
    remedy = f"prlimit --pid $$ --nofile={raised}:{raised}"
    if rights.capabilities == 0:
        remedy = "sudo " + remedy
    elif rights.capabilities is not None and not rights.may(CAP_SYS_RESOURCE):
        # Root in a container: no command in it raises the limit.
        remedy = ""
    return Check(
        name,
        Outcome.WARN if holds >= FEWEST_CONNECTIONS else Outcome.BAD,
        value,
        f"a process holds at most {holds:,} connections, the largest profile has "
        f"{MOST_CONNECTIONS:,}; in a container the limit is set when it is started "
        f"(`--ulimit nofile={raised}:{raised}`)",
        remedy,
    )


def _limit(value: int) -> str:
    return "unlimited" if value >= UNLIMITED else f"{value:,}"


def check_ports(facts: Facts) -> Check:
    """Each connection takes a local port of its source address."""
    name, ports = "local ports", facts.network.ports
    if ports is None:
        return untold(name, "which local ports connections may use")
    count = max(0, ports[1] - ports[0] + 1)
    value = f"{ports[0]}-{ports[1]}, {count:,} for each source address"
    remedy = "sysctl -w net.ipv4.ip_local_port_range='10000 65535'"
    if count >= MOST_CONNECTIONS:
        return Check(
            name,
            Outcome.OK,
            value,
            f"the largest profile has {MOST_CONNECTIONS:,} connections; every further loopback "
            "address (127.0.0.2, 127.0.0.3, ...) to connect from has as many ports again",
        )
    return Check(
        name,
        Outcome.WARN if count >= FEWEST_CONNECTIONS else Outcome.BAD,
        value,
        f"the largest profile has {MOST_CONNECTIONS:,} connections: it needs "
        f"{-(-MOST_CONNECTIONS // max(1, count)):,} loopback source addresses, or more ports",
        remedy,
    )


def check_accept_queue(facts: Facts) -> Check:
    """somaxconn caps the backlog that a server asks for. Source: listen(2)."""
    name, somaxconn = "accept queue", facts.network.somaxconn
    if somaxconn is None:
        return untold(name, "the cap of a listen backlog (somaxconn)")
    value = f"somaxconn {somaxconn:,}"
    remedy = f"sysctl -w net.core.somaxconn={MOST_REOPENED}"
    if somaxconn >= MOST_REOPENED:
        return Check(name, Outcome.OK, value, "the default of kernels since 5.4 is 4,096")
    why = (
        f"connections that are opened at once beyond it wait a second or more for their SYN to be "
        f"repeated; limited-conn opens up to {MOST_REOPENED:,} again and again"
    )
    if somaxconn < CONNECT_BATCH:
        why = f"the load generator opens {CONNECT_BATCH} at once; {why}"
        return Check(name, Outcome.BAD, value, why, remedy)
    return Check(name, Outcome.WARN, value, why, remedy)


def check_syn_queue(facts: Facts) -> Check:
    """Handshakes that are not over; with SYN cookies a full queue refuses none."""
    name, network = "SYN queue", facts.network
    if network.syn_backlog is None or network.syncookies is None:
        return untold(name, "its SYN backlog or whether it uses SYN cookies")
    on = "on" if network.syncookies else "off"
    value = f"tcp_max_syn_backlog {network.syn_backlog:,}, SYN cookies {on}"
    if network.syncookies or network.syn_backlog >= SYN_BACKLOG:
        return Check(name, Outcome.OK, value, "handshakes on the loopback device end at once")
    return Check(
        name,
        Outcome.WARN,
        value,
        "without SYN cookies a burst of new connections beyond it is dropped, and repeated a "
        "second later",
        f"sysctl -w net.ipv4.tcp_max_syn_backlog={MOST_REOPENED}",
    )


def check_time_wait(facts: Facts) -> Check:
    """Sockets that were closed and still hold their port.

    The load generator resets connections, which leaves none; other clients end them with FIN.
    Source: Linux, networking/ip-sysctl.rst, tcp_tw_reuse: 0 disable, 1 global enable, 2 enable for
    loopback traffic only.
    """
    name, network = "TIME_WAIT", facts.network
    if network.tw_reuse is None or network.time_wait is None:
        return untold(name, "sockets in TIME_WAIT or tcp_tw_reuse")
    value = f"{network.time_wait:,} sockets, tcp_tw_reuse {network.tw_reuse}"
    if network.tw_reuse:
        return Check(name, Outcome.OK, value, "ports of ended loopback connections are used again")
    free = None
    if network.ports:
        free = network.ports[1] - network.ports[0] + 1 - network.time_wait
    full = free is not None and free < FEWEST_CONNECTIONS
    return Check(
        name,
        Outcome.BAD if full else Outcome.WARN,
        value,
        "a connection that a client ends with FIN, as other load generators do, holds its port for "
        "60 s: "
        + ("nearly every local port is held now" if full else "reconnects run out of them"),
        "sysctl -w net.ipv4.tcp_tw_reuse=2",
    )


def check_tcp_memory(facts: Facts) -> Check:
    """What sockets may hold while uploads are in flight.

    Source: tcp(7), tcp_mem, in pages: `pressure: When the amount of memory allocated by TCP
    exceeds this number of pages, TCP moderates its memory consumption`; `max: The maximum number
    of pages, globally, allocated by TCP`.
    """
    name, network = "TCP memory", facts.network
    memory, wmem = network.tcp_mem, network.wmem
    if memory is None or wmem is None or len(memory) != 3 or len(wmem) != 3:
        return untold(name, "the memory that TCP may use (tcp_mem, tcp_wmem)")
    pressure, most = (pages * network.page_bytes for pages in memory[1:])
    value = (
        f"pressure at {format_bytes(pressure)}, end at {format_bytes(most)}; "
        f"send buffer to {format_bytes(wmem[2])}"
    )
    wanted = MOST_UPLOADS * min(wmem[2], UPLOAD_BYTES)
    pages = -(-wanted // network.page_bytes)
    load = f"{MOST_UPLOADS} uploads of {UPLOAD_BYTES // MIB} MiB"
    wide = f"sysctl -w net.ipv4.tcp_mem='{pages} {pages * 3 // 2} {pages * 2}'"
    if most < MOST_UPLOADS * wmem[1]:
        why = f"{load} fill it with their smallest buffers: the kernel then drops what arrives"
        return Check(name, Outcome.BAD, value, why, wide)
    if wmem[2] < SLICE_BYTES:
        return Check(
            name,
            Outcome.WARN,
            value,
            f"one write of an upload ({format_bytes(SLICE_BYTES)}) does not fit into a send "
            "buffer: the load generator wakes up more often than it should",
            f"sysctl -w net.ipv4.tcp_wmem='{wmem[0]} {wmem[1]} {4 * MIB}'",
        )
    if pressure < wanted:
        return Check(
            name,
            Outcome.WARN,
            value,
            f"{load} to a server that reads slowly can fill {format_bytes(wanted)} of send "
            "buffers; above the pressure mark the kernel slows all of them down, and the server "
            "is not to blame",
            wide,
        )
    return Check(name, Outcome.OK, value, f"{load} can fill {format_bytes(wanted)}")


def check_tracking(facts: Facts) -> Check:
    """A firewall's table of connections has an end; what does not fit is dropped."""
    name, network = "conntrack", facts.network
    if network.tracked is None or network.tracked_max is None:
        return Check(name, Outcome.OK, "not loaded", "connections are not tracked")
    value = f"{network.tracked:,} of {network.tracked_max:,} entries"
    if not network.tracked:
        return Check(name, Outcome.OK, value, "loopback connections are not tracked")
    wide = max(1_048_576, 2 * network.tracked_max)
    remedy = f"sysctl -w net.netfilter.nf_conntrack_max={wide}"
    free = network.tracked_max - network.tracked
    if free < MOST_CONNECTIONS:
        why = f"{MOST_CONNECTIONS:,} connections do not fit: the kernel drops their packets"
        return Check(name, Outcome.BAD, value, why, remedy)
    why = (
        "connections are tracked: each costs the kernel time, and one that was closed keeps its "
        "entry for 10 s and more, so a scenario that reconnects fills the table"
    )
    return Check(name, Outcome.WARN, value, why, remedy)


def check_loopback(facts: Facts) -> Check:
    """All load goes over it."""
    name, flags, trial = "loopback", facts.network.loopback_flags, facts.rights.trials.loopback
    if trial.works:
        return Check(name, Outcome.OK, "up, a connection was made", "all load goes over it")
    if trial.works is None and flags is None:
        return untold(name, "whether the loopback device is up")
    if trial.works is None and flags is not None and flags & IFF_UP:
        return Check(name, Outcome.OK, "up", "all load goes over it")
    # /sys may show the devices of another network namespace: the refusal itself tells too.
    down = (flags is not None and not flags & IFF_UP) or "unreachable" in trial.said
    return Check(
        name,
        Outcome.BAD,
        "down" if down else f"no connection: {trial.said}",
        "all load goes over the loopback device",
        "ip link set lo up" if down else "",
    )


CHECKS = (
    check_descriptors,
    check_ports,
    check_accept_queue,
    check_syn_queue,
    check_time_wait,
    check_tcp_memory,
    check_tracking,
    check_loopback,
)
