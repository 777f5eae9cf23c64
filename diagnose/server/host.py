"""The machine: CPU sets, limits, and what it cannot carry."""

from __future__ import annotations

import ipaddress
import os
import platform
import resource
from collections.abc import Collection
from pathlib import Path

import psutil

from diagnose.errors import HostLimit, UsageError
from diagnose.model.run import HostFacts

# Below so many cores the load generator and the server share all of them: a server with one core
# of two could not show whether it uses more than one.
SPLIT_FROM = 4
# Descriptors that a worker or server needs beside its connections.
SPARE_DESCRIPTORS = 128
# The kernel tries every other port first: when these are taken, each connect searches long. 16,000
# connections from one address took 2.5 s of CPU, 10,000 took 0.24 s.
PORT_SHARE = 0.4
FIRST_SOURCE = ipaddress.IPv4Address("127.0.0.2")


def parse_cpus(text: str) -> tuple[int, ...]:
    """A CPU list as taskset writes it: `0-3,6`.

    Raises: UsageError when it is not one, or names CPUs that this process may not use.
    """
    cpus: set[int] = set()
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            low, high = int(first), int(last if dash else first)
            if high > 1_000_000:
                raise ValueError(high)
            cpus |= set(range(low, high + 1))
    except ValueError as error:
        raise UsageError(f"not a CPU list: {text!r}; write it like 0-3,6") from error
    allowed = os.sched_getaffinity(0)
    if not cpus or not cpus <= allowed:
        raise UsageError(
            f"CPUs {text!r} are not all usable here; usable: {','.join(map(str, sorted(allowed)))}"
        )
    return tuple(sorted(cpus))


def cpu_sets(
    server: tuple[int, ...] | None, load: tuple[int, ...] | None
) -> tuple[tuple[int, ...], tuple[int, ...], str]:
    """The CPUs of server and load, and `split` or `shared`: halves from 4 cores up, as the
    benchmark does."""
    cpus = tuple(sorted(os.sched_getaffinity(0)))
    if server is None and load is None:
        if len(cpus) >= SPLIT_FROM:
            half = len(cpus) // 2
            server, load = cpus[:half], cpus[half:]
        else:
            server = load = cpus
    elif server is None:
        server = tuple(cpu for cpu in cpus if cpu not in (load or ())) or cpus
    elif load is None:
        load = tuple(cpu for cpu in cpus if cpu not in server) or cpus
    assert server is not None
    assert load is not None
    return server, load, "shared" if set(server) & set(load) else "split"


def affinity_of(pid: int) -> tuple[int, ...] | None:
    """The CPUs that a running process may use; None when it is gone or not ours to ask."""
    try:
        return tuple(sorted(os.sched_getaffinity(pid)))
    except OSError:
        return None


def workers_for_descriptors(connections: int) -> int:
    """The fewest load workers that can hold the connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard <= SPARE_DESCRIPTORS:
        return 1
    return -(-connections // (hard - SPARE_DESCRIPTORS))


def raise_descriptor_limit(connections: int, workers: int) -> int:
    """Raise the soft limit of open files to the hard one; the limit that then holds.

    Raises: HostLimit when a worker could not hold its connections.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = -(-connections // workers) + SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise HostLimit(
            f"{connections} connections need {needed} open files in each of {workers} load "
            f"workers, but the hard limit is {hard}; raise it (`ulimit -Hn {needed}` as root, or "
            "LimitNOFILE= / limits.conf), use more --load-workers, or fewer connections"
        )
    return hard


def sources(host: str, connections: int) -> tuple[tuple[str, ...], int]:
    """Client addresses to connect from, and connections from each; nothing where one will do.

    All of 127.0.0.0/8 is this machine, and each address has ports of its own.

    Raises: HostLimit when one client address has too few ports and there is no other.
    """
    text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    low, high = (int(word) for word in text.split())
    ports = high - low + 1
    if connections <= ports * PORT_SHARE:
        return (), 0
    address = ipaddress.ip_address(host)
    if address.version == 4 and address.is_loopback:
        each = max(1, int(ports * PORT_SHARE))
        count = -(-connections // each)
        return tuple(str(FIRST_SOURCE + place) for place in range(count)), each
    if connections <= ports:
        return (), 0
    raise HostLimit(
        f"{connections} connections from one address need as many local ports, but "
        f"ip_local_port_range {low}-{high} has {ports}; widen it with "
        "`sysctl -w net.ipv4.ip_local_port_range='10000 65535'`, use fewer connections, or serve "
        "on 127.0.0.1, which can be reached from many addresses"
    )


def host_facts(
    server: tuple[int, ...], load: tuple[int, ...], mode: str, descriptor_limit: int
) -> HostFacts:
    """What a reader of the run needs to know of this machine; no names of hosts or users."""
    memory = psutil.virtual_memory()
    return HostFacts(
        cpus=tuple(sorted(os.sched_getaffinity(0))),
        server_cpus=server,
        load_cpus=load,
        cpu_mode=mode,
        cpu_model=cpu_model(),
        memory_bytes=memory.total,
        available_bytes=memory.available,
        kernel=platform.release(),
        python=platform.python_version(),
        somaxconn=_number("/proc/sys/net/core/somaxconn"),
        descriptor_limit=descriptor_limit,
    )


def core_times(cpus: Collection[int]) -> tuple[float, float]:
    """Seconds for which these cores were busy, and all of their seconds, since the host started."""
    times = [row for cpu, row in enumerate(psutil.cpu_times(percpu=True)) if cpu in cpus]
    # guest times are part of user times.
    total = sum(sum(row[:8]) for row in times)
    return total - sum(row.idle + row.iowait for row in times), total


def cpu_model() -> str:
    """What /proc/cpuinfo calls the processor; the architecture where it does not say."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _number(path: str) -> int:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return -1
