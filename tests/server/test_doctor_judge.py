"""Every check of the doctor in both directions, from facts alone."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from diagnose.server.doctor import Check, Facts, Outcome, judge, spoiled
from diagnose.server.doctor.facts import (
    UNLIMITED,
    Attempt,
    Busy,
    CpuFacts,
    MemoryFacts,
    NetworkFacts,
    RightsFacts,
    Trials,
    Watched,
)

GIB = 2**30
WORKS = Attempt(True)
ALL_WORK = Trials(*[WORKS] * len(fields(Trials)))
TOOLS = dict.fromkeys(("perf", "node", "wrk", "h2load", "gcannon", "oha"), "/usr/bin/x")
ROOT = (1 << 41) - 1

# A machine on which nothing is wrong.
GOOD = Facts(
    network=NetworkFacts(
        ports=(32768, 60999),
        somaxconn=4096,
        syn_backlog=4096,
        syncookies=1,
        tw_reuse=2,
        time_wait=0,
        tcp_mem=(1_000_000, 2_000_000, 4_000_000),
        wmem=(4096, 16384, 4_194_304),
        loopback_flags=9,
    ),
    cpu=CpuFacts(
        allowed=16,
        online=16,
        server=8,
        load=8,
        mode="split",
        governors=("performance",),
        boost=False,
        boost_file="/sys/devices/system/cpu/cpufreq/boost",
        hypervisor=False,
        machine="Example Board",
        clocksource="tsc",
        clocksources=("tsc", "hpet"),
    ),
    memory=MemoryFacts(64 * GIB, 60 * GIB, None, 0, 0, 60),
    rights=RightsFacts(
        descriptors_soft=1024,
        descriptors_hard=1_048_576,
        capabilities=0,
        perf_paranoid=1,
        schedstat=True,
        tools=dict(TOOLS),
        trials=ALL_WORK,
    ),
    watched=Watched(1.0, 0.02, 0.0, 0),
)


def but(room: str, **changes: Any) -> Facts:
    """The good machine with something else about one subject."""
    return replace(GOOD, **{room: replace(getattr(GOOD, room), **changes)})


def tried(**changes: Attempt) -> Facts:
    """The good machine with other results of the trials."""
    return but("rights", trials=replace(ALL_WORK, **changes))


def check(name: str, facts: Facts) -> Check:
    """The answer to one question."""
    (only,) = [each for each in judge(facts) if each.name == name]
    return only


def test_nothing_is_wrong_with_a_good_machine() -> None:
    checks = judge(GOOD)
    assert {each.outcome for each in checks} == {Outcome.OK}
    assert not spoiled(checks)
    assert len({each.name for each in checks}) == len(checks)


def test_nothing_is_guessed_where_nothing_was_read() -> None:
    blank = Facts(cpu=CpuFacts(allowed=8, online=8, mode="split"), rights=RightsFacts())
    told = {each.name: each.outcome for each in judge(blank)}
    # These are told by what is not there, or by the process itself.
    sure = {name for name, outcome in told.items() if outcome is not Outcome.UNKNOWN}
    assert sure == {"cores", "CPU quota", "conntrack", "schedstat"}


def test_warnings_do_not_spoil() -> None:
    checks = judge(but("cpu", hypervisor=True, governors=("powersave",)))
    assert {each.outcome for each in checks} == {Outcome.OK, Outcome.WARN}
    assert not spoiled(checks)


def test_one_bad_check_spoils() -> None:
    assert spoiled(judge(replace(GOOD, watched=Watched(1.0, 4.0, 0.0, 0))))


Case = tuple[str, Facts, Outcome, str]
CASES: dict[str, Case] = {
    # cores
    "one core": ("cores", but("cpu", allowed=1, mode="shared"), Outcome.BAD, "1 of 16, shared"),
    "two cores": (
        "cores",
        but("cpu", allowed=2, online=2, mode="shared"),
        Outcome.WARN,
        "2, shared",
    ),
    "three cores": ("cores", but("cpu", allowed=3, mode="shared"), Outcome.WARN, "3 of 16, shared"),
    "four cores": (
        "cores",
        but("cpu", allowed=4, online=4, server=2, load=2),
        Outcome.OK,
        "4, split: server 2, load 2",
    ),
    # quota
    "quota": (
        "CPU quota",
        but("cpu", quota_cores=1.5, quota_file="/sys/fs/cgroup/a/cpu.max"),
        Outcome.BAD,
        "1.50 of 16 cores",
    ),
    "quota of all cores": (
        "CPU quota",
        but("cpu", quota_cores=16.0, quota_file="x"),
        Outcome.OK,
        "16.00 of 16 cores",
    ),
    # other load
    "a little other load": (
        "other load",
        replace(GOOD, watched=Watched(1.0, 0.1, 0.0, 0)),
        Outcome.OK,
        "0.10 cores",
    ),
    "some other load": (
        "other load",
        replace(GOOD, watched=Watched(1.0, 0.3, 0.0, 0, (Busy("cc1", 77, 0.28),))),
        Outcome.WARN,
        "0.30 cores: cc1 (77) 0.28",
    ),
    "other load of a large machine": (
        "other load",
        replace(GOOD, watched=Watched(1.0, 1.5, 0.0, 0, (Busy("a", 1, 1.0), Busy("b", 2, 0.5)))),
        Outcome.WARN,
        "1.50 cores: a (1) 1.00, b (2) 0.50",
    ),
    "much other load": (
        "other load",
        replace(GOOD, watched=Watched(1.0, 1.7, 0.0, 0, (Busy("a", 1, 1.69),))),
        Outcome.BAD,
        "1.70 cores: a (1) 1.69",
    ),
    "other load of a small machine": (
        "other load",
        replace(
            but("cpu", allowed=2, online=2),
            watched=Watched(1.0, 0.6, 0.0, 0, (Busy("a", 1, 0.3),)),
        ),
        Outcome.BAD,
        "0.60 cores: a (1) 0.30, and 0.30 of others, short-lived or not to be seen from here",
    ),
    "other load that is not seen": (
        "other load",
        replace(GOOD, watched=Watched(1.0, 0.4, 0.0, 0)),
        Outcome.WARN,
        "0.40 cores: 0.40 of others, short-lived or not to be seen from here",
    ),
    "other load not watched": (
        "other load",
        replace(GOOD, watched=None),
        Outcome.UNKNOWN,
        "not watched",
    ),
    # steal
    "little steal": (
        "steal time",
        replace(GOOD, watched=Watched(1.0, 0.0, 0.16, 0)),
        Outcome.OK,
        "0.16 cores",
    ),
    "steal": (
        "steal time",
        replace(GOOD, watched=Watched(1.0, 0.0, 0.32, 0)),
        Outcome.WARN,
        "0.32 cores",
    ),
    "much steal": (
        "steal time",
        replace(GOOD, watched=Watched(1.0, 0.0, 0.9, 0)),
        Outcome.BAD,
        "0.90 cores",
    ),
    "steal not watched": (
        "steal time",
        replace(GOOD, watched=None),
        Outcome.UNKNOWN,
        "not watched",
    ),
    # virtual machine
    "hypervisor flag": ("virtual machine", but("cpu", hypervisor=True), Outcome.WARN, "Example"),
    "no flag but a maker": (
        "virtual machine",
        but("cpu", hypervisor=None, machine="QEMU Virtual Machine"),
        Outcome.WARN,
        "yes, QEMU Virtual Machine",
    ),
    "a rented machine without the flag": (
        "virtual machine",
        but("cpu", hypervisor=False, machine="Amazon EC2 m5.metal"),
        Outcome.OK,
        "no",
    ),
    "a CPU without flags": (
        "virtual machine",
        but("cpu", hypervisor=None, machine=""),
        Outcome.UNKNOWN,
        "not readable",
    ),
    # clocks
    "governor": (
        "CPU governor",
        but("cpu", governors=("performance", "schedutil")),
        Outcome.WARN,
        "performance, schedutil",
    ),
    "no governor": ("CPU governor", but("cpu", governors=()), Outcome.UNKNOWN, "not readable"),
    "boost": ("CPU boost", but("cpu", boost=True), Outcome.WARN, "on"),
    "boost not told": ("CPU boost", but("cpu", boost=None), Outcome.UNKNOWN, "not readable"),
    "slow clock": ("clock", but("cpu", clocksource="hpet"), Outcome.WARN, "hpet"),
    "clock of a virtual machine": ("clock", but("cpu", clocksource="kvm-clock"), Outcome.OK, "kvm"),
    "no clock": ("clock", but("cpu", clocksource=None), Outcome.UNKNOWN, "not readable"),
    # memory
    "little memory": (
        "memory",
        but("memory", available=8 * GIB),
        Outcome.WARN,
        "8.0 GiB free",
    ),
    "hardly any memory": (
        "memory",
        but("memory", available=GIB // 4),
        Outcome.BAD,
        "256.0 MiB free",
    ),
    "just enough memory": ("memory", but("memory", available=13 * GIB), Outcome.OK, "13.0 GiB"),
    "memory of a control group": (
        "memory",
        but("memory", cgroup_free=2 * GIB),
        Outcome.WARN,
        "2.0 GiB free in this control group",
    ),
    "a wide control group": ("memory", but("memory", cgroup_free=61 * GIB), Outcome.OK, "60.0 GiB"),
    "no memory told": ("memory", but("memory", available=None), Outcome.UNKNOWN, "not readable"),
    "unused swap": (
        "swap",
        but("memory", swap_total=GIB, swap_used=2**20),
        Outcome.OK,
        "1.0 MiB of 1.0 GiB used, swappiness 60",
    ),
    "used swap": (
        "swap",
        but("memory", swap_total=GIB, swap_used=GIB // 2),
        Outcome.WARN,
        "512.0 MiB of 1.0 GiB used",
    ),
    "swapping": (
        "swap",
        replace(
            but("memory", swap_total=GIB, swap_used=GIB // 2),
            watched=Watched(1.0, 0.0, 0.0, 812),
        ),
        Outcome.BAD,
        "812 pages moved while watching",
    ),
    "swap not told": ("swap", but("memory", swap_used=None), Outcome.UNKNOWN, "not readable"),
    # descriptors
    "descriptors for all": (
        "descriptors",
        but("rights", descriptors_hard=16_512),
        Outcome.OK,
        "soft 1,024, hard 16,512",
    ),
    "one descriptor less": (
        "descriptors",
        but("rights", descriptors_hard=16_511),
        Outcome.WARN,
        "soft 1,024, hard 16,511",
    ),
    "few descriptors": (
        "descriptors",
        but("rights", descriptors_soft=256, descriptors_hard=600),
        Outcome.BAD,
        "soft 256, hard 600",
    ),
    "descriptors without end": (
        "descriptors",
        but("rights", descriptors_hard=UNLIMITED),
        Outcome.OK,
        "hard unlimited",
    ),
    "descriptors not told": (
        "descriptors",
        but("rights", descriptors_hard=None),
        Outcome.UNKNOWN,
        "not readable",
    ),
    # connections
    "ports for all": ("local ports", but("network", ports=(1, 16_384)), Outcome.OK, "16,384 for"),
    "few ports": (
        "local ports",
        but("network", ports=(40_000, 43_999)),
        Outcome.WARN,
        "40000-43999, 4,000 for each source address",
    ),
    "hardly any ports": (
        "local ports",
        but("network", ports=(40_000, 40_099)),
        Outcome.BAD,
        "100 for each",
    ),
    "ports not told": ("local ports", but("network", ports=None), Outcome.UNKNOWN, "not readable"),
    "short accept queue": (
        "accept queue",
        but("network", somaxconn=128),
        Outcome.WARN,
        "somaxconn 128",
    ),
    "accept queue below a batch": (
        "accept queue",
        but("network", somaxconn=32),
        Outcome.BAD,
        "somaxconn 32",
    ),
    "accept queue not told": (
        "accept queue",
        but("network", somaxconn=None),
        Outcome.UNKNOWN,
        "not readable",
    ),
    "short SYN queue": (
        "SYN queue",
        but("network", syn_backlog=128, syncookies=0),
        Outcome.WARN,
        "tcp_max_syn_backlog 128, SYN cookies off",
    ),
    "short SYN queue with cookies": (
        "SYN queue",
        but("network", syn_backlog=128),
        Outcome.OK,
        "SYN cookies on",
    ),
    "SYN queue not told": (
        "SYN queue",
        but("network", syncookies=None),
        Outcome.UNKNOWN,
        "not readable",
    ),
    "ports are used again": (
        "TIME_WAIT",
        but("network", time_wait=28_000),
        Outcome.OK,
        "28,000 sockets, tcp_tw_reuse 2",
    ),
    "ports are not used again": (
        "TIME_WAIT",
        but("network", tw_reuse=0),
        Outcome.WARN,
        "0 sockets, tcp_tw_reuse 0",
    ),
    "ports are used up": (
        "TIME_WAIT",
        but("network", tw_reuse=0, time_wait=28_000),
        Outcome.BAD,
        "28,000 sockets, tcp_tw_reuse 0",
    ),
    "TIME_WAIT not told": (
        "TIME_WAIT",
        but("network", time_wait=None),
        Outcome.UNKNOWN,
        "not readable",
    ),
    "TCP pressure": (
        "TCP memory",
        but("network", tcp_mem=(200_000, 300_000, 600_000)),
        Outcome.WARN,
        "pressure at 1.1 GiB, end at 2.3 GiB; send buffer to 4.0 MiB",
    ),
    "TCP without memory": (
        "TCP memory",
        but("network", tcp_mem=(500, 1000, 2000)),
        Outcome.BAD,
        "end at 7.8 MiB",
    ),
    "small send buffers": (
        "TCP memory",
        but("network", wmem=(4096, 16384, 131_072)),
        Outcome.WARN,
        "send buffer to 128.0 KiB",
    ),
    "TCP memory not told": (
        "TCP memory",
        but("network", tcp_mem=None),
        Outcome.UNKNOWN,
        "not readable",
    ),
    "not tracked": ("conntrack", GOOD, Outcome.OK, "not loaded"),
    "loopback not tracked": (
        "conntrack",
        but("network", tracked=0, tracked_max=100),
        Outcome.OK,
        "0 of 100 entries",
    ),
    "tracked": (
        "conntrack",
        but("network", tracked=12, tracked_max=262_144),
        Outcome.WARN,
        "12 of 262,144 entries",
    ),
    "table full": (
        "conntrack",
        but("network", tracked=250_000, tracked_max=262_144),
        Outcome.BAD,
        "250,000 of 262,144 entries",
    ),
    "loopback down": (
        "loopback",
        replace(
            tried(loopback=Attempt(False, "127.0.0.1: Network is unreachable")),
            network=replace(GOOD.network, loopback_flags=8),
        ),
        Outcome.BAD,
        "down",
    ),
    "loopback filtered": (
        "loopback",
        tried(loopback=Attempt(False, "127.0.0.1: timed out")),
        Outcome.BAD,
        "no connection: 127.0.0.1: timed out",
    ),
    "loopback not tried": ("loopback", tried(loopback=Attempt()), Outcome.OK, "up"),
    # rights
    "no perf": (
        "perf",
        but("rights", tools={**TOOLS, "perf": None}, trials=replace(ALL_WORK, perf=Attempt())),
        Outcome.WARN,
        "not on PATH",
    ),
    "perf refused": (
        "perf",
        replace(
            GOOD,
            rights=replace(
                GOOD.rights,
                perf_paranoid=4,
                trials=replace(ALL_WORK, perf=Attempt(False, "No permission")),
            ),
        ),
        Outcome.WARN,
        "refused, perf_event_paranoid 4: No permission",
    ),
    "perf not tried": ("perf", tried(perf=Attempt()), Outcome.UNKNOWN, "not readable"),
    "py-spy refused": (
        "ptrace",
        tried(py_spy=Attempt(False, "Permission Denied")),
        Outcome.WARN,
        "py-spy refused, no Yama: Permission Denied",
    ),
    "py-spy not tried": ("ptrace", tried(py_spy=Attempt()), Outcome.UNKNOWN, "not readable"),
    "no schedstat": ("schedstat", but("rights", schedstat=False), Outcome.BAD, "not readable"),
    "no time stamps": (
        "time stamps",
        tried(timestamps=Attempt(False, "Protocol not available")),
        Outcome.WARN,
        "SO_TIMESTAMPNS: Protocol not available",
    ),
    "time stamps not tried": (
        "time stamps",
        tried(timestamps=Attempt()),
        Outcome.UNKNOWN,
        "not readable",
    ),
    "no sock_diag": (
        "sock_diag",
        tried(sock_diag=Attempt(False, "No such file or directory")),
        Outcome.WARN,
        "refused: No such file or directory",
    ),
    "sock_diag not tried": (
        "sock_diag",
        tried(sock_diag=Attempt()),
        Outcome.UNKNOWN,
        "not readable",
    ),
    "programs that are missing": (
        "optional programs",
        but("rights", tools={**TOOLS, "wrk": None, "oha": None}),
        Outcome.OK,
        "perf, node, h2load, gcannon; not on PATH: wrk, oha",
    ),
}


@pytest.mark.parametrize(
    ("name", "facts", "outcome", "value"), CASES.values(), ids=list(CASES.keys())
)
def test_checks(name: str, facts: Facts, outcome: Outcome, value: str) -> None:
    seen = check(name, facts)
    assert seen.outcome is outcome
    assert value in seen.value
    assert seen.why


def test_every_check_was_seen_in_two_directions() -> None:
    outcomes: dict[str, set[Outcome]] = {each.name: {each.outcome} for each in judge(GOOD)}
    for name, _, outcome, _ in CASES.values():
        outcomes[name].add(outcome)
    one_way = {name for name, seen in outcomes.items() if len(seen) < 2}
    # What can be used and is not needed is never wrong.
    assert one_way == {"optional programs"}


REMEDIES: dict[str, tuple[str, Facts, str]] = {
    "descriptors": (
        "descriptors",
        but("rights", descriptors_hard=4096),
        "sudo prlimit --pid $$ --nofile=65536:65536",
    ),
    "descriptors as root": (
        "descriptors",
        but("rights", descriptors_hard=4096, capabilities=ROOT),
        "prlimit --pid $$ --nofile=65536:65536",
    ),
    "descriptors as root of a container": (
        "descriptors",
        but("rights", descriptors_hard=4096, capabilities=0xA80425FB),
        "",
    ),
    "ports": (
        "local ports",
        but("network", ports=(1, 9)),
        "sysctl -w net.ipv4.ip_local_port_range='10000 65535'",
    ),
    "accept queue": (
        "accept queue",
        but("network", somaxconn=9),
        "sysctl -w net.core.somaxconn=4096",
    ),
    "quota of version 2": (
        "CPU quota",
        but("cpu", quota_cores=0.5, quota_file="/sys/fs/cgroup/a/cpu.max"),
        "echo max > /sys/fs/cgroup/a/cpu.max",
    ),
    "quota of version 1": (
        "CPU quota",
        but("cpu", quota_cores=0.5, quota_file="/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
        "echo -1 > /sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    ),
    "boost": (
        "CPU boost",
        but("cpu", boost=True),
        "echo 0 > /sys/devices/system/cpu/cpufreq/boost",
    ),
    "turbo": (
        "CPU boost",
        but("cpu", boost=True, boost_file="/sys/devices/system/cpu/intel_pstate/no_turbo"),
        "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo",
    ),
    "clock": (
        "clock",
        but("cpu", clocksource="hpet", clocksources=("hpet", "tsc", "acpi_pm")),
        "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource",
    ),
    "no better clock": ("clock", but("cpu", clocksource="hpet", clocksources=("hpet",)), ""),
    "memory": (
        "memory",
        but("memory", available=1000 * 2**20),
        "diagnose run upload-20mb -c 40 -- COMMAND",
    ),
    "TCP memory": (
        "TCP memory",
        but("network", tcp_mem=(200_000, 300_000, 600_000)),
        "sysctl -w net.ipv4.tcp_mem='524288 786432 1048576'",
    ),
    "conntrack": (
        "conntrack",
        but("network", tracked=1, tracked_max=262_144),
        "sysctl -w net.netfilter.nf_conntrack_max=1048576",
    ),
    "loopback in another namespace": (
        "loopback",
        tried(loopback=Attempt(False, "127.0.0.1: Network is unreachable")),
        "ip link set lo up",
    ),
    "perf by a setting": (
        "perf",
        replace(
            tried(perf=Attempt(False, "no")),
            rights=replace(
                GOOD.rights, perf_paranoid=3, trials=replace(ALL_WORK, perf=Attempt(False, "no"))
            ),
        ),
        "sysctl -w kernel.perf_event_paranoid=1",
    ),
    "perf by something else": ("perf", tried(perf=Attempt(False, "no")), ""),
    "ptrace by Yama": (
        "ptrace",
        but("rights", ptrace_scope=1, trials=replace(ALL_WORK, py_spy=Attempt(False, "no"))),
        "sysctl -w kernel.yama.ptrace_scope=0",
    ),
    "ptrace that stays forbidden": (
        "ptrace",
        but("rights", ptrace_scope=3, trials=replace(ALL_WORK, py_spy=Attempt(False, "no"))),
        "",
    ),
    "programs": (
        "optional programs",
        but("rights", tools={**TOOLS, "h2load": None, "gcannon": None}),
        "apt-get install nghttp2-client",
    ),
}


@pytest.mark.parametrize(("name", "facts", "remedy"), REMEDIES.values(), ids=list(REMEDIES.keys()))
def test_remedies(name: str, facts: Facts, remedy: str) -> None:
    assert check(name, facts).remedy == remedy


def test_remedies_are_commands() -> None:
    for name, facts, _, _ in CASES.values():
        remedy = check(name, facts).remedy
        assert "\n" not in remedy
        assert not remedy or len(shlex.split(remedy)) >= 2


def test_what_mends_does_mend() -> None:
    """The value that a remedy sets is one that the check is content with."""
    mended: list[tuple[str, Callable[[str], Facts]]] = [
        ("local ports", lambda value: but("network", ports=tuple(map(int, value.split())))),
        ("accept queue", lambda value: but("network", somaxconn=int(value))),
        ("SYN queue", lambda value: but("network", syn_backlog=int(value), syncookies=0)),
        ("TIME_WAIT", lambda value: but("network", tw_reuse=int(value))),
        ("TCP memory", lambda value: but("network", tcp_mem=tuple(map(int, value.split())))),
    ]
    broken = {
        name: facts
        for name, facts, outcome, _ in CASES.values()
        if outcome is Outcome.WARN and facts.network.wmem == GOOD.network.wmem
    }
    for name, mend in mended:
        remedy = check(name, broken[name]).remedy
        setting = shlex.split(remedy)[-1].partition("=")[2]
        assert check(name, mend(setting)).outcome is Outcome.OK, name
