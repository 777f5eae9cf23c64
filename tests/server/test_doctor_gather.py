"""Reading the host: from trees of files that say what a test wants, or are not there at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from diagnose.server.doctor import Facts, gather
from diagnose.server.doctor.cgroups import cpu_quota, memory_free
from diagnose.server.doctor.facts import Attempt, MemoryFacts, NetworkFacts, Trials
from diagnose.server.doctor.files import number, numbers, table, text


def untried(tracked: Callable[[], None]) -> Trials:
    """Nothing is started and no socket is opened."""
    tracked()
    return Trials(perf=Attempt(False, "not here"))


def tree(root: Path, files: Mapping[str, str]) -> None:
    """Files with these contents."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def seen(root: Path, files: Mapping[str, str]) -> Facts:
    """The host that these files of proc/ and sys/ describe."""
    tree(root, files)
    return gather(0.0, proc=root / "proc", sys=root / "sys", attempt=untried)


FILES = {
    "proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
    "proc/sys/net/core/somaxconn": "4096\n",
    "proc/sys/net/ipv4/tcp_max_syn_backlog": "2048\n",
    "proc/sys/net/ipv4/tcp_syncookies": "1\n",
    "proc/sys/net/ipv4/tcp_tw_reuse": "2\n",
    "proc/net/sockstat": "sockets: used 17\nTCP: inuse 1 orphan 0 tw 7 alloc 1 mem 0\nUDP: inuse 0",
    "proc/sys/net/ipv4/tcp_mem": "287898\t383866\t575796\n",
    "proc/sys/net/ipv4/tcp_wmem": "4096\t16384\t4194304\n",
    "proc/sys/net/netfilter/nf_conntrack_count": "3\n",
    "proc/sys/net/netfilter/nf_conntrack_max": "262144\n",
    "sys/class/net/lo/flags": "0x9\n",
    "proc/meminfo": "MemTotal: 24683656 kB\nMemAvailable:   24169184 kB\n"
    "SwapTotal:  2048 kB\nSwapFree:  1024 kB\nHugePages_Total:       0\n",
    "proc/sys/vm/swappiness": "60\n",
    "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu vme hypervisor lahf_lm\n\nprocessor\t: 1\n",
    "sys/class/dmi/id/sys_vendor": "QEMU\n",
    "sys/class/dmi/id/product_name": "Standard PC\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/cpu2/cpufreq/scaling_governor": "powersave\n",
    "sys/devices/system/cpu/intel_pstate/no_turbo": "0\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc kvm-clock \n",
    "proc/self/status": "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t0000000001080000\n",
    "proc/sys/kernel/perf_event_paranoid": "-1\n",
    "proc/sys/kernel/yama/ptrace_scope": "1\n",
    "proc/thread-self/schedstat": "90120 2210 13\n",
}


class TestGather:
    """A whole host, an empty one, and a damaged one."""

    def test_of_a_whole_host(self, tmp_path: Path) -> None:
        facts = seen(tmp_path, FILES)
        assert facts.network == NetworkFacts(
            ports=(32768, 60999),
            somaxconn=4096,
            syn_backlog=2048,
            syncookies=1,
            tw_reuse=2,
            time_wait=7,
            tcp_mem=(287898, 383866, 575796),
            wmem=(4096, 16384, 4194304),
            page_bytes=facts.network.page_bytes,
            tracked=3,
            tracked_max=262144,
            loopback_flags=9,
        )
        kib = 1024
        assert facts.memory == MemoryFacts(
            24683656 * kib, 24169184 * kib, None, 2048 * kib, 1024 * kib, 60
        )
        cpu = facts.cpu
        assert (cpu.hypervisor, cpu.machine) == (True, "QEMU Standard PC")
        assert cpu.governors == ("performance", "powersave")
        assert (cpu.boost, Path(cpu.boost_file).name) == (True, "no_turbo")
        assert (cpu.clocksource, cpu.clocksources) == ("tsc", ("tsc", "kvm-clock"))
        assert cpu.quota_cores is None
        rights = facts.rights
        assert (rights.perf_paranoid, rights.ptrace_scope, rights.schedstat) == (-1, 1, True)
        assert [rights.may(number) for number in (18, 19, 24, 25)] == [False, True, True, False]
        assert rights.trials.perf == Attempt(False, "not here")
        assert facts.watched is None

    @pytest.mark.parametrize(
        "content", [None, "", "\n", "x", "\x00\xff", "1 2 3 4 5 6 7", "TCP: tw"]
    )
    def test_nothing_is_raised(self, tmp_path: Path, content: str | None) -> None:
        files = {} if content is None else dict.fromkeys(FILES, content)
        facts = seen(tmp_path, files)
        assert facts.network.somaxconn is None
        assert facts.network.ports is None
        assert facts.network.time_wait is None
        assert facts.memory.available is None
        assert facts.cpu.hypervisor is None
        assert facts.rights.capabilities is None
        assert not facts.rights.schedstat

    def test_of_folders_where_files_should_be(self, tmp_path: Path) -> None:
        for name in FILES:
            (tmp_path / name).mkdir(parents=True)
        assert seen(tmp_path, {}).network.somaxconn is None

    def test_watching_a_host_that_does_not_tell(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slept: list[float] = []
        monkeypatch.setattr("time.sleep", slept.append)
        facts = gather(0.5, proc=tmp_path, sys=tmp_path, attempt=untried)
        assert slept == [0.5]
        assert facts.watched is None

    def test_boost_of_another_maker(self, tmp_path: Path) -> None:
        facts = seen(tmp_path, {"sys/devices/system/cpu/cpufreq/boost": "0\n"})
        assert (facts.cpu.boost, Path(facts.cpu.boost_file).name) == (False, "boost")

    def test_tracking_is_read_while_a_connection_is_open(self, tmp_path: Path) -> None:
        count = "proc/sys/net/netfilter/nf_conntrack_count"
        tree(tmp_path, {count: "0"})

        def connect(tracked: Callable[[], None]) -> Trials:
            (tmp_path / count).write_text("1")
            tracked()
            (tmp_path / count).write_text("0")
            return Trials()

        facts = gather(0.0, proc=tmp_path / "proc", sys=tmp_path / "sys", attempt=connect)
        assert facts.network.tracked == 1


SECOND = "0::/user.slice/run.scope\n"
FIRST = "9:name=systemd:/\n4:memory:/box\n1:cpu,cpuacct:/box\n0::/\n"


QUOTAS: dict[str, tuple[str, dict[str, str], float | None]] = {
    "version 2, the inner one": (
        SECOND,
        {"user.slice/run.scope/cpu.max": "150000 100000", "user.slice/cpu.max": "max 100000"},
        1.5,
    ),
    "version 2, the outer one": (
        SECOND,
        {
            "user.slice/run.scope/cpu.max": "150000 100000",
            "user.slice/cpu.max": "50000 100000",
        },
        0.5,
    ),
    "version 2, none": (SECOND, {"user.slice/run.scope/cpu.max": "max 100000"}, None),
    "version 2, in a container": ("0::/../../elsewhere\n", {"cpu.max": "200000 100000"}, 2.0),
    "version 2, damaged": (SECOND, {"user.slice/run.scope/cpu.max": "100000"}, None),
    "version 1": (
        FIRST,
        {
            "cpu,cpuacct/box/cpu.cfs_quota_us": "25000",
            "cpu,cpuacct/box/cpu.cfs_period_us": "100000",
            "cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
        0.25,
    ),
    "version 1, by the controller's own name": (
        FIRST,
        {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"},
        3.0,
    ),
    "version 1, none": (
        FIRST,
        {"cpu/box/cpu.cfs_quota_us": "-1", "cpu/box/cpu.cfs_period_us": "100000"},
        None,
    ),
    "no groups": ("", {}, None),
}

MEMORY: dict[str, tuple[str, dict[str, str], int | None]] = {
    "version 2": (
        SECOND,
        {
            "user.slice/memory.max": "1000",
            "user.slice/memory.current": "700",
            "user.slice/memory.stat": "anon 500\ninactive_file 200\n",
            "user.slice/run.scope/memory.max": "max",
            "user.slice/run.scope/memory.current": "700",
        },
        500,
    ),
    "version 1": (
        FIRST,
        {
            "memory/box/memory.limit_in_bytes": "1000",
            "memory/box/memory.usage_in_bytes": "900",
            "memory/box/memory.stat": "inactive_file 1\ntotal_inactive_file 50\n",
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "memory/memory.usage_in_bytes": "1",
        },
        150,
    ),
    "more used than allowed": (
        SECOND,
        {"memory.max": "1000", "memory.current": "1100"},
        0,
    ),
    "none": (SECOND, {"user.slice/memory.max": "max"}, None),
}


class TestControlGroups:
    """The tightest limit of all groups above this process."""

    @pytest.mark.parametrize(("own", "files", "cores"), QUOTAS.values(), ids=list(QUOTAS.keys()))
    def test_quota(
        self, tmp_path: Path, own: str, files: dict[str, str], cores: float | None
    ) -> None:
        tree(tmp_path, {"proc/self/cgroup": own})
        tree(tmp_path / "sys/fs/cgroup", files)
        found, where = cpu_quota(tmp_path / "proc", tmp_path / "sys")
        assert found == cores
        assert (where == "") == (cores is None)
        assert not where or Path(where).is_file()

    @pytest.mark.parametrize(("own", "files", "free"), MEMORY.values(), ids=list(MEMORY.keys()))
    def test_memory(
        self, tmp_path: Path, own: str, files: dict[str, str], free: int | None
    ) -> None:
        tree(tmp_path, {"proc/self/cgroup": own})
        tree(tmp_path / "sys/fs/cgroup", files)
        assert memory_free(tmp_path / "proc", tmp_path / "sys") == free


class TestFiles:
    """Small files that may be missing or hold something else."""

    @pytest.mark.parametrize(
        ("content", "one", "many"),
        [
            ("7\n", 7, (7,)),
            ("-1", -1, (-1,)),
            ("1 2", None, (1, 2)),
            ("", None, None),
            ("max", None, None),
            ("1 max", None, None),
        ],
    )
    def test_numbers(
        self, tmp_path: Path, content: str, one: int | None, many: tuple[int, ...] | None
    ) -> None:
        path = tmp_path / "file"
        path.write_text(content)
        assert (number(path), numbers(path)) == (one, many)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        path = tmp_path / "none"
        assert (text(path), number(path), numbers(path), table(path)) == (None, None, None, {})

    def test_table(self, tmp_path: Path) -> None:
        path = tmp_path / "meminfo"
        path.write_text("MemFree:  2 kB\npswpin 9\nhalf\nbad: x kB\nHuge: 3\n")
        assert table(path) == {"MemFree": 2048, "pswpin": 9, "Huge": 3}
