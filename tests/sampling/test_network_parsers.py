"""TCP counters of netstat and snmp: captured, made by hand, cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.model.samples import NetworkSample
from diagnose.sampling.network import parse_counters, parse_network

DATA = Path(__file__).parents[1] / "data" / "sampling"
NETSTAT = (DATA / "netstat").read_bytes()
SNMP = (DATA / "snmp").read_bytes()


def table(name: str, **counters: int) -> bytes:
    """A table as the kernel prints it."""
    names = " ".join(counters)
    values = " ".join(map(str, counters.values()))
    return f"{name}: {names}\n{name}: {values}\n".encode()


def test_captured() -> None:
    """A moment after four connections had found an accept queue full."""
    assert parse_network(NETSTAT, SNMP) == NetworkSample(
        listen_overflows=4,
        listen_drops=4,
        retransmits=21202,
        delayed_acks=53862,
        active_opens=218070,
        passive_opens=217792,
        resets=199206,
    )


def test_each_counter_has_its_place() -> None:
    netstat = table("TcpExt", DelayedACKs=3, X=99, ListenOverflows=1, ListenDrops=2)
    snmp = table("Ip", InReceives=50) + table(
        "Tcp", OutRsts=7, RetransSegs=4, PassiveOpens=6, ActiveOpens=5
    )
    assert parse_network(netstat, snmp) == NetworkSample(1, 2, 4, 3, 5, 6, 7)


def test_other_tables_with_the_name_in_theirs() -> None:
    data = table("MPTcpExt", A=1) + table("TcpExt", A=2) + table("IpExt", A=3)
    assert parse_counters(data, b"TcpExt") == {b"A": 2}


def test_values_may_be_negative() -> None:
    assert parse_counters(table("Tcp", MaxConn=-1), b"Tcp") == {b"MaxConn": -1}


def test_what_the_kernel_lacks_is_not_zero() -> None:
    assert parse_network(b"", b"") == NetworkSample(-1, -1, -1, -1, -1, -1, -1)
    assert parse_network(table("TcpExt", ListenDrops=5), b"").listen_drops == 5


@pytest.mark.parametrize(
    "data", [b"Tcp: A B\nTcp: 1\n", b"Tcp: A\n", b"Tcp: A\nTcp: x\n", b"Tcp: A\n" * 3]
)
def test_not_a_table(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_counters(data, b"Tcp")


def test_cut_off_anywhere() -> None:
    """Up to the last value the table is refused; within it the number is another one."""
    data = table("Tcp", OutRsts=12, RetransSegs=345)
    for cut in range(1, len(data) - 4):
        if data[:cut] == data[:cut].replace(b"Tcp: ", b""):
            assert parse_counters(data[:cut], b"Tcp") == {}
            continue
        with pytest.raises(ValueError, match=r"\w"):
            parse_counters(data[:cut], b"Tcp")
    assert parse_counters(data, b"Tcp") == {b"OutRsts": 12, b"RetransSegs": 345}


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.from_regex(r"[A-Za-z]{1,9}", fullmatch=True), st.integers(), min_size=1))
def test_any_table(counters: dict[str, int]) -> None:
    seen = parse_counters(table("Tcp", **counters), b"Tcp")
    assert seen == {name.encode(): value for name, value in counters.items()}
