"""What is read a few times a second, from a made-up /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnose.model.samples import CgroupSample
from diagnose.sampling import cgroup as cgroup_module
from diagnose.sampling import network as network_module
from diagnose.sampling import pressure as pressure_module
from diagnose.sampling import rare as module
from diagnose.sampling.cgroup import CgroupReader
from diagnose.sampling.rare import AVAILABLE_S, NETWORK_S, NOTHING, SLOW_S, RareReader
from tests.sampling.fake_proc import FakeProc

DATA = Path(__file__).parents[1] / "data" / "sampling"


@pytest.fixture(name="proc")
def proc_fixture(monkeypatch: pytest.MonkeyPatch) -> FakeProc:
    """Files of the host and of process 7."""
    proc = FakeProc()
    for each in (module, network_module, pressure_module, cgroup_module):
        monkeypatch.setattr(each, "ProcFile", proc.open)
    monkeypatch.setattr(CgroupReader, "find", lambda _: None)
    monkeypatch.setattr(CgroupReader, "read", lambda _: CgroupSample(-1, 0, 0, 0, 1, 1, 1, 0))
    proc.files |= {
        "/proc/meminfo": (DATA / "meminfo").read_bytes(),
        "/proc/7/net/netstat": (DATA / "netstat").read_bytes(),
        "/proc/7/net/snmp": (DATA / "snmp").read_bytes(),
        "/proc/pressure/cpu": (DATA / "pressure.cpu").read_bytes(),
        "/proc/pressure/io": (DATA / "pressure.io").read_bytes(),
        "/proc/pressure/memory": (DATA / "pressure.io").read_bytes(),
    }
    return proc


def test_everything_at_first(proc: FakeProc) -> None:
    reader = RareReader()
    assert reader.available == -1
    assert reader.meet([7, 8])
    seen = reader.read(100.0)
    assert reader.available == 20483868 * 1024
    assert seen.network is not None
    assert seen.network.active_opens == 218070
    assert seen.pressure is not None
    assert (seen.pressure.cpu_some_s, seen.pressure.io_full_s) == (128.369513, 9.216174)
    assert seen.cgroup is not None


def test_each_at_its_own_rate(proc: FakeProc) -> None:
    reader = RareReader()
    reader.meet([7])
    reader.read(100.0)
    proc.taken()
    turns = [reader.read(100.0 + turn * 0.05) for turn in range(1, 41)]
    read = proc.taken()
    assert read.count("netstat") == sum(turn.network is not None for turn in turns)
    assert read.count("netstat") == round(2.0 / NETWORK_S)
    assert read.count("meminfo") == round(2.0 / AVAILABLE_S)
    assert sum(turn.pressure is not None for turn in turns) == round(2.0 / SLOW_S)
    assert reader.due_at > 102.0


def test_a_mark_makes_the_counters_due(proc: FakeProc) -> None:
    reader = RareReader()
    reader.meet([7])
    reader.read(100.0)
    assert reader.read(100.05) == NOTHING
    reader.mark()
    assert reader.due_at == 0.0
    seen = reader.read(100.1)
    assert seen.network is not None
    assert seen.pressure is not None
    assert seen.cgroup is not None


def test_the_first_process_is_kept_until_it_is_gone(proc: FakeProc) -> None:
    reader = RareReader()
    assert not reader.meet([])
    assert reader.meet([7, 8])
    assert not reader.meet([8, 7])
    assert reader.meet([8])
    # The counters of the namespace go on by the files of the process that has ended.
    seen = reader.read(100.0)
    assert seen.network is not None


def test_where_the_kernel_measures_no_pressure(proc: FakeProc) -> None:
    del proc.files["/proc/pressure/io"]
    reader = RareReader()
    assert [path for path in proc.opened if "pressure" in path] == []
    assert reader.read(100.0).pressure is None


@pytest.mark.parametrize(
    ("ours", "theirs", "elsewhere"),
    [("net:[1]", "net:[1]", False), ("net:[1]", "net:[2]", True), ("net:[1]", None, False)],
)
def test_network_namespaces(
    proc: FakeProc,
    monkeypatch: pytest.MonkeyPatch,
    ours: str,
    theirs: str | None,
    elsewhere: bool,
) -> None:
    links = {"/proc/self/ns/net": ours, "/proc/7/ns/net": theirs}

    def readlink(path: str) -> str:
        target = links[path]
        if target is None:
            raise PermissionError(path)
        return target

    monkeypatch.setattr("diagnose.sampling.rare.os.readlink", readlink)
    reader = RareReader()
    reader.meet([7])
    assert reader.in_another_network() is elsewhere


def test_nothing_stays_open(proc: FakeProc) -> None:
    reader = RareReader()
    reader.meet([7])
    reader.read(100.0)
    assert proc.opened
    reader.close()
    assert proc.opened == []
