"""CPU lists and sets, descriptors and ports, on machines of every size."""

from __future__ import annotations

import ipaddress
import os
import resource

import pytest

from diagnose.errors import HostLimit, UsageError
from diagnose.server import host
from diagnose.server.host import (
    SPARE_DESCRIPTORS,
    cpu_sets,
    parse_cpus,
    raise_descriptor_limit,
    sources,
    workers_for_descriptors,
)


def machine(monkeypatch: pytest.MonkeyPatch, *cpus: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(cpus))


CPU_LISTS = {
    "one": ("0", (0,)),
    "several": ("0,2,4", (0, 2, 4)),
    "range": ("1-3", (1, 2, 3)),
    "range_of_one": ("5-5", (5,)),
    "ranges_and_numbers": ("0-1,6,3-4", (0, 1, 3, 4, 6)),
    "out_of_order": ("7,0", (0, 7)),
    "twice": ("1,1-2,2", (1, 2)),
    "spaces": (" 0 , 2 - 3 ", (0, 2, 3)),
    "all": ("0-7", (0, 1, 2, 3, 4, 5, 6, 7)),
}


@pytest.mark.parametrize(("text", "cpus"), CPU_LISTS.values(), ids=CPU_LISTS.keys())
def test_parse_cpus(monkeypatch: pytest.MonkeyPatch, text: str, cpus: tuple[int, ...]) -> None:
    machine(monkeypatch, *range(8))
    assert parse_cpus(text) == cpus


@pytest.mark.parametrize(
    "text", ["", ",", "a", "0,", "0-", "-1", "1-2-3", "0;1", "0x1", "0..3", "1.0"]
)
def test_not_a_cpu_list(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    machine(monkeypatch, *range(8))
    with pytest.raises(UsageError, match="not a CPU list") as caught:
        parse_cpus(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["8", "0-8", "0,100", "3-1"])
def test_cpus_that_are_not_there(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    machine(monkeypatch, *range(8))
    with pytest.raises(UsageError, match="usable: 0,1,2,3,4,5,6,7"):
        parse_cpus(text)


def test_only_the_cpus_of_this_process_are_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 4, 6)
    assert parse_cpus("4,6") == (4, 6)
    with pytest.raises(UsageError, match=r"usable: 4,6$"):
        parse_cpus("4-6")


AUTOMATIC = {
    "one_core": ((0,), (0,), (0,), "shared"),
    "two_cores": ((0, 1), (0, 1), (0, 1), "shared"),
    "three_cores": ((0, 1, 2), (0, 1, 2), (0, 1, 2), "shared"),
    "four_cores": ((0, 1, 2, 3), (0, 1), (2, 3), "split"),
    "five_cores": ((0, 1, 2, 3, 4), (0, 1), (2, 3, 4), "split"),
    "with_holes": ((9, 1, 5, 3), (1, 3), (5, 9), "split"),
    "64_cores": (tuple(range(64)), tuple(range(32)), tuple(range(32, 64)), "split"),
}


@pytest.mark.parametrize(
    ("cpus", "server", "load", "mode"), AUTOMATIC.values(), ids=AUTOMATIC.keys()
)
def test_cpu_sets_by_themselves(
    monkeypatch: pytest.MonkeyPatch,
    cpus: tuple[int, ...],
    server: tuple[int, ...],
    load: tuple[int, ...],
    mode: str,
) -> None:
    machine(monkeypatch, *cpus)
    assert cpu_sets(None, None) == (server, load, mode)


Cpus = tuple[int, ...]
CHOSEN: dict[str, tuple[Cpus | None, Cpus | None, tuple[Cpus, Cpus, str]]] = {
    "both_apart": ((0,), (1, 2), ((0,), (1, 2), "split")),
    "both_overlapping": ((0, 1), (1, 2), ((0, 1), (1, 2), "shared")),
    "both_the_same": ((3,), (3,), ((3,), (3,), "shared")),
    "server_only": ((0, 2), None, ((0, 2), (1, 3), "split")),
    "load_only": (None, (3,), ((0, 1, 2), (3,), "split")),
    "server_takes_all": ((0, 1, 2, 3), None, ((0, 1, 2, 3), (0, 1, 2, 3), "shared")),
    "load_takes_all": (None, (0, 1, 2, 3), ((0, 1, 2, 3), (0, 1, 2, 3), "shared")),
}


@pytest.mark.parametrize(("server", "load", "sets"), CHOSEN.values(), ids=CHOSEN.keys())
def test_cpu_sets_as_asked(
    monkeypatch: pytest.MonkeyPatch,
    server: Cpus | None,
    load: Cpus | None,
    sets: tuple[Cpus, Cpus, str],
) -> None:
    machine(monkeypatch, 0, 1, 2, 3)
    assert cpu_sets(server, load) == sets


def test_one_core_asked_for_on_a_small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 0, 1)
    assert cpu_sets((0,), None) == ((0,), (1,), "split")


# -- limits -------------------------------------------------------------------------------------


def descriptors(monkeypatch: pytest.MonkeyPatch, hard: int) -> list[tuple[int, int]]:
    """A process with that hard limit; the limits that are set."""
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    return limits


@pytest.mark.parametrize(
    ("connections", "workers"),
    [(1, 1), (4096 - SPARE_DESCRIPTORS, 1), (2 * (4096 - SPARE_DESCRIPTORS), 2)],
)
def test_the_soft_limit_is_raised_to_the_hard_one(
    monkeypatch: pytest.MonkeyPatch, connections: int, workers: int
) -> None:
    limits = descriptors(monkeypatch, 4096)
    assert raise_descriptor_limit(connections, workers) == 4096
    assert limits == [(4096, 4096)]


@pytest.mark.parametrize(
    ("connections", "workers", "needed"),
    [(4096 - SPARE_DESCRIPTORS + 1, 1, 4097), (8000, 2, 4128), (7937, 2, 4097), (16384, 1, 16512)],
)
def test_too_few_descriptors(
    monkeypatch: pytest.MonkeyPatch, connections: int, workers: int, needed: int
) -> None:
    descriptors(monkeypatch, 4096)
    with pytest.raises(HostLimit, match="hard limit is 4096") as caught:
        raise_descriptor_limit(connections, workers)
    assert f"ulimit -Hn {needed}`" in str(caught.value)


def test_no_limit_of_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = descriptors(monkeypatch, resource.RLIM_INFINITY)
    assert raise_descriptor_limit(1_000_000, 1) == resource.RLIM_INFINITY
    assert limits == [(resource.RLIM_INFINITY, resource.RLIM_INFINITY)]


class FakePath:
    """In place of pathlib.Path: /proc/sys/net/ipv4/ip_local_port_range of another machine."""

    def __init__(self, path: str) -> None:
        assert path == "/proc/sys/net/ipv4/ip_local_port_range"

    def read_text(self) -> str:
        return "40000\t40099\n"


@pytest.fixture(name="few_ports")
def _few_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose connections have 100 local ports, of which 40 are taken from one address."""
    monkeypatch.setattr(host, "Path", FakePath)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "10.0.0.1"])
@pytest.mark.parametrize("connections", [1, 40])
def test_one_source_address_is_the_kernels_choice(
    few_ports: None, address: str, connections: int
) -> None:
    assert sources(address, connections) == ((), 0)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1"])
@pytest.mark.parametrize(
    ("connections", "count"), [(41, 2), (80, 2), (81, 3), (16_384, 410), (40_000, 1000)]
)
def test_several_source_addresses_on_loopback(
    few_ports: None, address: str, connections: int, count: int
) -> None:
    """Every address of 127.0.0.0/8 is this machine, and has ports of its own."""
    addresses, each = sources(address, connections)
    assert each == 40
    assert len(addresses) == count
    assert each * (count - 1) < connections <= each * count
    assert addresses[:2] == ("127.0.0.2", "127.0.0.3")
    assert len(set(addresses)) == count
    assert all(ipaddress.IPv4Address(source).is_loopback for source in addresses)


@pytest.mark.parametrize("address", ["::1", "10.0.0.1"])
def test_elsewhere_one_address_gives_all_its_ports(few_ports: None, address: str) -> None:
    assert sources(address, 100) == ((), 0)


@pytest.mark.parametrize("address", ["::1", "10.0.0.1"])
@pytest.mark.parametrize("connections", [101, 16384])
def test_too_few_ports(few_ports: None, address: str, connections: int) -> None:
    with pytest.raises(HostLimit, match="40000-40099 has 100") as caught:
        sources(address, connections)
    assert f"{connections} connections" in str(caught.value)
    assert "sysctl -w" in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize(
    ("connections", "hard", "workers"),
    [
        (1, 4096, 1),
        (4096 - SPARE_DESCRIPTORS, 4096, 1),
        (4096 - SPARE_DESCRIPTORS + 1, 4096, 2),
        (16_384, 4096, 5),
        (1_000_000, resource.RLIM_INFINITY, 1),
        (500, SPARE_DESCRIPTORS, 1),
    ],
)
def test_as_many_workers_as_descriptors_take(
    monkeypatch: pytest.MonkeyPatch, connections: int, hard: int, workers: int
) -> None:
    """Where no worker could hold even one, `raise_descriptor_limit` says so."""
    descriptors(monkeypatch, hard)
    assert workers_for_descriptors(connections) == workers
