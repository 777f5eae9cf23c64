"""Control groups of both versions, from captured and made-up files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.model.samples import CgroupSample
from diagnose.sampling.cgroup import (
    Group,
    groups,
    holding,
    memory_limit,
    parse_membership,
    parse_mounts,
    parse_number,
    parse_table,
    quota,
    read_group,
    tightest,
)

DATA = Path(__file__).parents[1] / "data" / "sampling"
MOUNTS_V1 = (DATA / "mountinfo.v1").read_bytes()
MOUNTS_V2 = b"30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
MEMBER_V1 = b"5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n0::/\n"
MEMBER_V2 = b"0::/system.slice/web.service/app\n"


def files(content: Mapping[str, str]) -> Callable[[str], bytes]:
    """Reads of made-up files; others are not there."""
    return lambda path: content.get(path, "").encode()


# -- where the groups are -----------------------------------------------------------------------


def test_captured_mounts() -> None:
    mounts = list(parse_mounts(MOUNTS_V1))
    assert len(mounts) == 10
    assert ((), "/", "/sys/fs/cgroup/unified") in mounts
    assert [point for controllers, _, point in mounts if "cpu" in controllers] == [
        "/sys/fs/cgroup/cpu"
    ]


def test_mounts_cut_off_anywhere() -> None:
    whole = list(parse_mounts(MOUNTS_V1))
    for cut in range(len(MOUNTS_V1)):
        seen = list(parse_mounts(MOUNTS_V1[:cut]))
        assert [(root, point) for _, root, point in seen] == [
            (root, point) for _, root, point in whole[: len(seen)]
        ]


def test_spaces_in_a_mount_point() -> None:
    data = rb"1 1 0:1 / /my\040groups\134x rw - cgroup2 none rw" + b"\n"
    assert list(parse_mounts(data)) == [((), "/", "/my groups\\x")]


def test_membership() -> None:
    assert list(parse_membership(MEMBER_V1)) == [
        (("memory",), "/docker/abc"),
        (("cpu", "cpuacct"), "/docker/abc"),
        (("name=systemd",), "/x"),
        ((), "/"),
    ]
    assert list(parse_membership(b"nonsense\n:cpu:/\n3:cpu\n")) == []


def test_membership_cut_off_anywhere() -> None:
    whole = [controllers for controllers, _ in parse_membership(MEMBER_V1)]
    for cut in range(len(MEMBER_V1)):
        seen = [controllers for controllers, _ in parse_membership(MEMBER_V1[:cut])]
        assert seen == whole[: len(seen)]


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=80))
def test_noise_is_no_group(noise: bytes) -> None:
    assert groups(noise, noise, "cpu") == []


def test_version_2_up_to_its_mount() -> None:
    assert groups(MEMBER_V2, MOUNTS_V2, "cpu") == [
        Group("/sys/fs/cgroup/system.slice/web.service/app", True),
        Group("/sys/fs/cgroup/system.slice/web.service", True),
        Group("/sys/fs/cgroup/system.slice", True),
        Group("/sys/fs/cgroup", True),
    ]


def test_version_1_by_its_controller_and_version_2_beside_it() -> None:
    assert groups(MEMBER_V1, MOUNTS_V1, "memory") == [
        Group("/sys/fs/cgroup/memory/docker/abc", False),
        Group("/sys/fs/cgroup/memory/docker", False),
        Group("/sys/fs/cgroup/memory", False),
        Group("/sys/fs/cgroup/unified", True),
    ]


def test_in_a_container_only_what_is_mounted_is_seen() -> None:
    """Its own group is the root of the mount; paths of the host lead nowhere."""
    mounts = b"1 1 0:1 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"
    inside = Group("/sys/fs/cgroup/cpu", False)
    assert groups(b"4:cpu:/docker/abc\n", mounts, "cpu") == [inside]
    assert groups(b"4:cpu:/docker/abc/sub\n", mounts, "cpu") == [
        Group("/sys/fs/cgroup/cpu/sub", False),
        inside,
    ]
    for elsewhere in (b"/docker/abcd", b"/other", b"/", b"/docker/abc/../x"):
        assert groups(b"4:cpu:" + elsewhere + b"\n", mounts, "cpu") == [inside]


def test_a_controller_that_is_not_mounted() -> None:
    assert groups(b"4:cpu:/a\n", MOUNTS_V2, "cpu") == []
    assert groups(b"", MOUNTS_V2, "cpu") == []


# -- limits -------------------------------------------------------------------------------------

V1, V2 = Group("/one", False), Group("/two", True)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"4096\n", 4096),
        (b"0\n", 0),
        (b"max\n", -1),
        (b"", -1),
        (b"-1\n", -1),
        (b"9223372036854771712\n", -1),
        (b"1 2\n", -1),
    ],
)
def test_numbers(data: bytes, value: int) -> None:
    assert parse_number(data) == value


def test_tables() -> None:
    data = b"nr_periods 5\nthrottled_usec 70\nunder_oom x\na b c\n"
    assert parse_table(data) == {b"nr_periods": 5, b"throttled_usec": 70}
    for cut in range(len(data)):
        assert set(parse_table(data[:cut]).values()) <= {5, 7, 70}


@pytest.mark.parametrize(
    ("content", "cores"),
    [("50000 100000\n", 0.5), ("max 100000\n", -1.0), ("200000 50000\n", 4.0), ("5\n", -1.0)],
)
def test_quota_of_version_2(content: str, cores: float) -> None:
    assert quota(V2, files({"/two/cpu.max": content})) == cores


@pytest.mark.parametrize(
    ("allowed", "period", "cores"),
    [("50000", "100000", 0.5), ("-1", "100000", -1.0), ("50000", "0", -1.0), ("", "", -1.0)],
)
def test_quota_of_version_1(allowed: str, period: str, cores: float) -> None:
    read = files({"/one/cpu.cfs_quota_us": allowed, "/one/cpu.cfs_period_us": period})
    assert quota(V1, read) == cores


def test_memory_limits() -> None:
    assert memory_limit(V2, files({"/two/memory.max": "1048576\n"})) == 1 << 20
    assert memory_limit(V2, files({"/two/memory.max": "max\n"})) == -1
    assert memory_limit(V1, files({"/one/memory.limit_in_bytes": "1048576\n"})) == 1 << 20
    assert memory_limit(V1, files({})) == -1


def test_the_tightest_of_a_hierarchy_binds() -> None:
    inner, middle, outer = (Group(name, True) for name in ("/a/b/c", "/a/b", "/a"))
    limits = {inner: 2.0, middle: 0.5, outer: 4.0}
    assert tightest(limits, limits.__getitem__) == middle
    assert tightest([inner, outer], limits.__getitem__) == inner
    assert tightest([inner, middle], lambda _: 1.0) == inner
    assert tightest([inner], lambda _: -1.0) is None
    assert tightest([], lambda _: 1.0) is None


def test_without_a_limit_the_innermost_group_below_the_mount_tells() -> None:
    above = [Group("/m/a/b", True), Group("/m/a", True), Group("/m", True)]
    assert holding(above, files({"/m/a/memory.current": "5", "/m/memory.current": "9"})) == above[1]
    assert holding(above, files({"/m/memory.current": "9"})) is None
    mixed = [Group("/one", False), Group("/two", True)]
    assert holding(mixed, files({"/one/memory.usage_in_bytes": "9"})) is None


# -- what they say ------------------------------------------------------------------------------


def test_all_of_version_2() -> None:
    read = files(
        {
            "/two/cpu.max": "150000 100000\n",
            "/two/cpu.stat": "nr_periods 40\nnr_throttled 30\nthrottled_usec 2500000\n",
            "/two/memory.current": "1000\n",
            "/two/memory.peak": "3000\n",
            "/two/memory.max": "4096\n",
            "/two/memory.events": "low 0\nhigh 9\nmax 8\noom 2\noom_kill 1\n",
        }
    )
    assert read_group(V2, V2, read) == CgroupSample(1.5, 40, 30, 2.5, 1000, 3000, 4096, 1)


def test_all_of_version_1() -> None:
    read = files(
        {
            "/one/cpu.cfs_quota_us": "50000\n",
            "/one/cpu.cfs_period_us": "100000\n",
            "/one/cpu.stat": "nr_periods 40\nnr_throttled 30\nthrottled_time 2500000000\n",
            "/one/memory.usage_in_bytes": "1000\n",
            "/one/memory.max_usage_in_bytes": "3000\n",
            "/one/memory.limit_in_bytes": "9223372036854771712\n",
            "/one/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n",
        }
    )
    assert read_group(V1, V1, read) == CgroupSample(0.5, 40, 30, 2.5, 1000, 3000, -1, 7)


def test_what_is_not_there_is_no_figure() -> None:
    assert read_group(V2, V2, files({})) == CgroupSample(-1.0, 0, 0, 0.0, -1, -1, -1, 0)
    assert read_group(None, V2, files({"/two/memory.current": "5"})).memory_bytes == 5
    assert read_group(None, None, files({})) == CgroupSample(-1.0, 0, 0, 0.0, -1, -1, -1, 0)
