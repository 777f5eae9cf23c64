"""CPU time from /proc: captured files, names that are hard to parse, and files cut off anywhere."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

from diagnose.sampling.cpu import (
    TICK_S,
    Stat,
    parse_fork_count,
    parse_host,
    parse_schedstat,
    parse_stat,
    parse_switches,
)

DATA = Path(__file__).parents[1] / "data" / "sampling"
PROCESS = (DATA / "process.stat").read_bytes()
THREAD = (DATA / "thread.stat").read_bytes()


def stat_line(name: bytes = b"server", fields: int = 52) -> bytes:
    """A stat line whose field number n (of proc(5), from 1) holds n * 10."""
    numbers = b" ".join(b"%d" % (10 * number) for number in range(4, fields + 1))
    return b"10 (" + name + b") S " + numbers + b"\n"


# -- stat ---------------------------------------------------------------------------------------


def test_captured_process() -> None:
    assert parse_stat(PROCESS) == Stat(
        name="ev (il) name",
        state="R",
        parent=16869,
        minor_faults=10399,
        major_faults=0,
        user_s=101 * TICK_S,
        system_s=22 * TICK_S,
        children_user_s=0.0,
        children_system_s=0.0,
        threads=2,
        rss_pages=11621,
        core=1,
    )


def test_captured_thread() -> None:
    stat = parse_stat(THREAD)
    assert (stat.name, stat.state, stat.parent) == ("io ) R (worker", "S", 16869)
    assert (stat.user_s, stat.system_s) == (96 * TICK_S, 1 * TICK_S)
    assert stat.core == 1


@pytest.mark.parametrize(
    ("file", "name", "state"),
    [("kernel_thread.stat", "kthreadd", "S"), ("zombie.stat", "true", "Z")],
)
def test_captured_oddities(file: str, name: str, state: str) -> None:
    stat = parse_stat((DATA / file).read_bytes())
    assert (stat.name, stat.state) == (name, state)
    assert stat.user_s == 0.0


def test_the_fields_of_the_manual() -> None:
    assert parse_stat(stat_line()) == Stat(
        name="server",
        state="S",
        parent=40,
        minor_faults=100,
        major_faults=120,
        user_s=140 * TICK_S,
        system_s=150 * TICK_S,
        children_user_s=160 * TICK_S,
        children_system_s=170 * TICK_S,
        threads=200,
        rss_pages=240,
        core=390,
    )


NAMES = {
    "plain": b"server",
    "empty": b"",
    "spaces": b"tmux: server 1 2 3",
    "parentheses": b"(sd-pam)",
    "only_parentheses": b"))((",
    "like_the_rest": b"x) S 1 2 3 (y",
    "line_break": b"a\nb",
    "utf_8": "scheduler-\u00e9".encode(),
    "cut_in_a_character": "scheduler-1234\u00e9".encode()[:15],
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_names(name: bytes) -> None:
    stat = parse_stat(stat_line(name))
    assert stat.name == name.decode(errors="replace")
    assert astuple(stat)[1:] == astuple(parse_stat(stat_line()))[1:]


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=15).filter(lambda name: b"\0" not in name))
def test_any_name(name: bytes) -> None:
    assert astuple(parse_stat(stat_line(name)))[1:] == astuple(parse_stat(stat_line()))[1:]


@pytest.mark.parametrize("fields", [39, 40, 44, 52, 60])
def test_older_and_newer_kernels_have_fewer_and_more_fields(fields: int) -> None:
    assert parse_stat(stat_line(fields=fields)) == parse_stat(stat_line())


@pytest.mark.parametrize("line", [PROCESS, THREAD, stat_line(b"a) (b")], ids=["p", "t", "made"])
def test_stat_cut_off_anywhere(line: bytes) -> None:
    """Up to the last field that is read, whatever the cut leaves is refused."""
    name_end = line.rindex(b")") + 2
    last = name_end + len(b" ".join(line[name_end:].split(b" ")[:36])) + 1
    for cut in range(last):
        with pytest.raises(ValueError, match="stat line"):
            parse_stat(line[:cut])
    for cut in range(line.index(b" ", last), len(line)):
        assert parse_stat(line[:cut]) == parse_stat(line)


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"1 name S", b") (", b"1 (x)", stat_line().replace(b" 140 ", b" x ")],
    ids=["empty", "line_end", "no_name", "turned", "name_only", "not_a_number"],
)
def test_not_a_stat_line(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"stat line|invalid literal"):
        parse_stat(data)


# -- schedstat ----------------------------------------------------------------------------------


def test_captured_schedstat() -> None:
    assert parse_schedstat((DATA / "thread.schedstat").read_bytes()) == (0.976365413, 0.223873431)


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (b"0 0 0\n", (0.0, 0.0)),
        (b"1 2 3", (1e-9, 2e-9)),
        (b"86400000000000 3600000000000 99\n", (86400.0, 3600.0)),
    ],
    ids=["idle", "nanoseconds", "a_day"],
)
def test_schedstat(data: bytes, seconds: tuple[float, float]) -> None:
    assert parse_schedstat(data) == seconds


def test_schedstat_cut_off() -> None:
    data = (DATA / "thread.schedstat").read_bytes()
    third = data.rindex(b" ") + 1
    for cut in range(third + 1):
        with pytest.raises(ValueError, match="not enough values"):
            parse_schedstat(data[:cut])
    for cut in range(third + 1, len(data)):
        assert parse_schedstat(data[:cut]) == parse_schedstat(data)


@pytest.mark.parametrize("data", [b"a b c", b"1 2 3 4", b"1.5 x 3"])
def test_not_a_schedstat(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"invalid literal|too many values"):
        parse_schedstat(data)


# -- context switches ---------------------------------------------------------------------------

STATUS = (DATA / "thread.status").read_bytes()


def test_captured_switches() -> None:
    assert parse_switches(STATUS) == (2, 351)


def test_switches_where_the_kernel_tells_nothing() -> None:
    assert parse_switches(b"") == (-1, -1)
    assert parse_switches(b"Name:\tvoluntary_ctxt_switches:\nThreads:\t3\n") == (-1, -1)


def test_switches_cut_off_between_lines() -> None:
    lines = STATUS.splitlines(keepends=True)
    assert parse_switches(b"".join(lines[:-2])) == (-1, -1)
    assert parse_switches(b"".join(lines[:-1])) == (2, -1)


def test_switches_cut_off_anywhere() -> None:
    """These lines are the last of a status file: of a long one, they are what is missing."""
    for cut in range(len(STATUS)):
        with suppress(ValueError):
            voluntary, involuntary = parse_switches(STATUS[:cut])
            assert voluntary in (-1, 2)
            assert involuntary in (-1, 3, 35, 351)


# -- host ---------------------------------------------------------------------------------------

HOST = b"cpu  5 5 5 5 5 5 5 5 5 5\n"


def core(number: int, *ticks: int) -> bytes:
    return b"cpu%d %b\n" % (number, b" ".join(b"%d" % tick for tick in ticks))


def test_captured_host() -> None:
    data = (DATA / "host.stat").read_bytes()
    busy, steal = parse_host(data)
    rows = [line.split() for line in data.splitlines() if line.startswith((b"cpu0", b"cpu1"))]
    assert len(rows) == 2
    for seconds, row in zip(busy, rows, strict=True):
        user, nice, system, _, _, irq, softirq = (int(field) for field in row[1:8])
        assert seconds == pytest.approx((user + nice + system + irq + softirq) * TICK_S)
    assert steal == pytest.approx(sum(int(row[8]) for row in rows) * TICK_S)


def test_each_column_of_the_host() -> None:
    """Neither idle, nor iowait, nor steal is busy; guest time is part of user time already."""
    data = HOST + core(0, 1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 7, 3, 3)
    busy, steal = parse_host(data)
    assert [*busy, steal] == pytest.approx([1_100_111 * TICK_S, 7 * TICK_S])


def test_steal_is_summed_over_cores() -> None:
    data = HOST + core(0, 1, 0, 0, 0, 0, 0, 0, 2) + core(1, 3, 0, 0, 0, 0, 0, 0, 5)
    busy, steal = parse_host(data)
    assert [*busy, steal] == pytest.approx([1 * TICK_S, 3 * TICK_S, 7 * TICK_S])


def test_what_follows_the_cores_is_not_read() -> None:
    data = HOST + core(0, 1, 0, 0, 0, 0, 0, 0, 0) + b"intr 1 2 x\ncpu9 not a core\n"
    assert parse_host(data) == ((TICK_S,), 0.0)


def test_many_cores_stay_in_order() -> None:
    data = HOST + b"".join(core(number, number, 0, 0, 0, 0, 0, 0, 0) for number in range(128))
    busy, _ = parse_host(data)
    assert list(busy) == pytest.approx([number * TICK_S for number in range(128)])


def test_no_cores() -> None:
    assert parse_host(b"") == ((), 0.0)
    assert parse_host(HOST) == ((), 0.0)


def test_captured_fork_count() -> None:
    assert parse_fork_count((DATA / "host.stat").read_bytes()) == 16875


def test_fork_count_where_the_kernel_tells_nothing() -> None:
    assert parse_fork_count(b"cpu  1 2 3\nctxt 4\n") == -1
    assert parse_fork_count(b"") == -1


def test_fork_count_cut_off() -> None:
    whole = b"cpu 1\nprocesses 123\nprocs_running 4\n"
    for cut in range(len(whole)):
        assert parse_fork_count(whole[:cut]) == (123 if cut > whole.index(b"procs_r") - 1 else -1)


def test_host_cut_off_anywhere() -> None:
    data = (DATA / "host.stat").read_bytes()
    whole, _ = parse_host(data)
    for cut in range(len(data)):
        with suppress(ValueError):
            busy, _ = parse_host(data[:cut])
            assert busy[:1] in ((), whole[:1])
