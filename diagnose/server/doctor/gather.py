"""Looks at the host. Nothing is raised: what cannot be read is None."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from diagnose.process_tree import descendants
from diagnose.server.doctor import trials as trials_module
from diagnose.server.doctor.cgroups import cpu_quota, memory_free
from diagnose.server.doctor.facts import (
    UNLIMITED,
    CpuFacts,
    Facts,
    MemoryFacts,
    NetworkFacts,
    RightsFacts,
    Trials,
    Watched,
)
from diagnose.server.doctor.files import number, numbers, table, text
from diagnose.server.doctor.watch import between, moment
from diagnose.server.host import cpu_sets

# Long enough for the clock ticks that /proc counts in (10 ms) to give two digits.
WATCH_S = 1.0
TOOLS = ("perf", "node", "wrk", "h2load", "gcannon", "oha")

Try = Callable[[Callable[[], None]], Trials]


def gather(
    seconds: float,
    *,
    proc: Path = Path("/proc"),
    sys: Path = Path("/sys"),
    attempt: Try = trials_module.run,
) -> Facts:
    """The host as it is now, watched for so many seconds (0: not watched)."""
    # First, because the trials are load of our own.
    watched = _watch(proc, seconds) if seconds > 0 else None
    tracked: list[int | None] = []
    tried = attempt(lambda: tracked.append(_tracked(proc)))
    return Facts(
        network=_network(proc, sys, tracked[0] if tracked else _tracked(proc)),
        cpu=_cpu(proc, sys),
        memory=_memory(proc, sys),
        rights=_rights(proc, tried),
        watched=watched,
    )


def _watch(proc: Path, seconds: float) -> Watched | None:
    before = moment(proc, time.monotonic())
    time.sleep(seconds)
    after = moment(proc, time.monotonic())
    if before is None or after is None:
        return None
    return between(before, after, {os.getpid(), *descendants(os.getpid())})


def _tracked(proc: Path) -> int | None:
    return number(proc / "sys/net/netfilter/nf_conntrack_count")


def _network(proc: Path, sys: Path, tracked: int | None) -> NetworkFacts:
    ipv4 = proc / "sys/net/ipv4"
    ports = numbers(ipv4 / "ip_local_port_range")
    flags = text(sys / "class/net/lo/flags")
    return NetworkFacts(
        ports=(ports[0], ports[1]) if ports and len(ports) == 2 else None,
        somaxconn=number(proc / "sys/net/core/somaxconn"),
        syn_backlog=number(ipv4 / "tcp_max_syn_backlog"),
        syncookies=number(ipv4 / "tcp_syncookies"),
        tw_reuse=number(ipv4 / "tcp_tw_reuse"),
        time_wait=_time_wait(proc),
        tcp_mem=numbers(ipv4 / "tcp_mem"),
        wmem=numbers(ipv4 / "tcp_wmem"),
        page_bytes=os.sysconf("SC_PAGE_SIZE"),
        tracked=tracked,
        tracked_max=number(proc / "sys/net/netfilter/nf_conntrack_max"),
        loopback_flags=_hexadecimal(flags),
    )


def _hexadecimal(content: str | None) -> int | None:
    try:
        return None if content is None else int(content, 16)
    except ValueError:
        return None


def _time_wait(proc: Path) -> int | None:
    """Source: /proc/net/sockstat: `TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 0`."""
    for line in (text(proc / "net/sockstat") or "").splitlines():
        words = line.split()
        if words[:1] == ["TCP:"] and "tw" in words[:-1]:
            count = words[words.index("tw") + 1]
            return int(count) if count.isdecimal() else None
    return None


def _cpu(proc: Path, sys: Path) -> CpuFacts:
    server, load, mode = cpu_sets(None, None)
    quota, where = cpu_quota(proc, sys)
    cpus = sys / "devices/system/cpu"
    boost, boost_file = _boost(cpus)
    clocks = sys / "devices/system/clocksource/clocksource0"
    named = (text(sys / f"class/dmi/id/{name}") or "" for name in ("sys_vendor", "product_name"))
    return CpuFacts(
        allowed=len(os.sched_getaffinity(0)),
        online=os.cpu_count() or 1,
        server=len(server),
        load=len(load),
        mode=mode,
        quota_cores=quota,
        quota_file=where,
        governors=_governors(cpus),
        boost=boost,
        boost_file=boost_file,
        hypervisor=_hypervisor(text(proc / "cpuinfo") or ""),
        machine=" ".join(name for name in named if name),
        clocksource=text(clocks / "current_clocksource") or None,
        clocksources=tuple((text(clocks / "available_clocksource") or "").split()),
    )


def _governors(cpus: Path) -> tuple[str, ...]:
    """The governors in use, each once."""
    try:
        files = sorted(cpus.glob("cpu[0-9]*/cpufreq/scaling_governor"))
    except OSError:
        return ()
    return tuple(sorted({name for file in files if (name := text(file))}))


def _boost(cpus: Path) -> tuple[bool | None, str]:
    """Whether cores may run above their nominal clock, and the file that says so.

    Source: Linux, admin-guide/pm/cpufreq.rst (boost) and intel_pstate.rst (no_turbo, inverted).
    """
    for name, inverted in (("intel_pstate/no_turbo", True), ("cpufreq/boost", False)):
        value = number(cpus / name)
        if value is not None:
            return bool(value) != inverted, str(cpus / name)
    return None, ""


def _hypervisor(cpuinfo: str) -> bool | None:
    """x86 only: elsewhere the CPU has no such flag."""
    for line in cpuinfo.splitlines():
        name, _, flags = line.partition(":")
        if name.strip() == "flags":
            return "hypervisor" in flags.split()
    return None


def _memory(proc: Path, sys: Path) -> MemoryFacts:
    info = table(proc / "meminfo")
    total, free = info.get("SwapTotal"), info.get("SwapFree")
    return MemoryFacts(
        total=info.get("MemTotal"),
        available=info.get("MemAvailable"),
        cgroup_free=memory_free(proc, sys),
        swap_total=total,
        swap_used=None if total is None or free is None else total - free,
        swappiness=number(proc / "sys/vm/swappiness"),
    )


def _rights(proc: Path, tried: Trials) -> RightsFacts:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return RightsFacts(
        descriptors_soft=_limit(soft),
        descriptors_hard=_limit(hard),
        capabilities=_capabilities(text(proc / "self/status") or ""),
        perf_paranoid=number(proc / "sys/kernel/perf_event_paranoid"),
        ptrace_scope=number(proc / "sys/kernel/yama/ptrace_scope"),
        schedstat=len((text(proc / "thread-self/schedstat") or "").split()) == 3,
        tools={name: shutil.which(name) for name in TOOLS},
        trials=tried,
    )


def _limit(value: int) -> int:
    """A limit as a number that can be compared: RLIM_INFINITY is -1."""
    return UNLIMITED if value == resource.RLIM_INFINITY else value


def _capabilities(status: str) -> int | None:
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return _hexadecimal(line.partition(":")[2].strip())
    return None
