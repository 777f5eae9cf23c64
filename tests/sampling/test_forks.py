"""Events of the process connector: captured, cut off, filtered; and who belongs to a tree."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.sampling.forks import Family, fork_filter, parse_fork

DATA = Path(__file__).parents[1] / "data" / "sampling"
FORK = (DATA / "proc_event.fork.bin").read_bytes()
OTHERS = {
    name: (DATA / f"proc_event.{name}.bin").read_bytes() for name in ("ack", "exit", "thread")
}


def fork(parent: int, child: int, thread: int | None = None) -> bytes:
    """The captured fork with other numbers; of a thread where `thread` is given."""
    return (
        FORK[:52]
        + struct.pack("=IIII", parent, parent, child if thread is None else thread, child)
        + FORK[68:]
    )


def run_filter(program: bytes, data: bytes) -> int:
    """How many bytes a classic BPF program lets through.

    Source: Documentation/networking/filter.rst of Linux.
    """
    rows = [struct.unpack_from("@HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator = index = at = 0
    while True:
        code, yes, no, value = rows[at]
        at += 1
        if code == 0x20:
            if value + 4 > len(data):
                return 0
            (accumulator,) = struct.unpack_from(">I", data, value)
        elif code == 0x07:
            index = accumulator
        elif code in (0x15, 0x1D):
            at += yes if accumulator == (value if code == 0x15 else index) else no
        else:
            assert code == 0x06
            return int(value)


def test_captured_fork() -> None:
    seen = parse_fork(FORK)
    assert seen is not None
    parent, child = seen
    assert parent > 0
    assert child > parent


@pytest.mark.parametrize("name", OTHERS)
def test_other_events_are_no_fork_of_a_process(name: str) -> None:
    assert parse_fork(OTHERS[name]) is None


def test_made_by_hand() -> None:
    assert parse_fork(fork(10, 2**31)) == (10, 2**31)
    assert parse_fork(fork(10, 11, thread=12)) is None


def test_cut_off_anywhere() -> None:
    for cut in range(68):
        with pytest.raises(ValueError, match=f"event of {cut} bytes"):
            parse_fork(FORK[:cut])
    assert parse_fork(FORK[:68]) == parse_fork(FORK)


def test_the_filter_lets_forks_of_processes_through() -> None:
    program = fork_filter()
    assert run_filter(program, FORK) >= len(FORK)
    for data in OTHERS.values():
        assert run_filter(program, data) == 0
    for cut in range(68):
        assert run_filter(program, FORK[:cut]) == 0


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))
def test_filter_and_parser_agree(parent: int, child: int, thread: int) -> None:
    for data in (fork(parent, child), fork(parent, child, thread)):
        assert bool(run_filter(fork_filter(), data)) is (parse_fork(data) is not None)


def test_constants_are_in_network_order() -> None:
    assert struct.pack("=I", socket.htonl(1)) == b"\0\0\0\x01"


# -- who belongs to the tree --------------------------------------------------------------------


def test_forks_of_others_do_not_count() -> None:
    family = Family()
    family.settle([10, 11])
    family.heard(99, 100)
    family.heard(100, 101)
    assert family.count == 0


def test_children_and_their_children_count() -> None:
    family = Family()
    family.settle([10])
    family.heard(10, 20)
    family.heard(20, 30)
    family.heard(30, 40)
    assert family.count == 3


def test_a_child_that_was_missed_by_the_scan_still_belongs() -> None:
    """It was born while /proc was walked; at the next walk it is there, or it has ended."""
    family = Family()
    family.settle([10])
    family.heard(10, 20)
    family.settle([10])
    family.heard(20, 30)
    assert family.count == 2
    family.settle([10])
    family.heard(20, 31)
    assert family.count == 2


def test_a_number_that_was_given_to_another_process_does_not_count() -> None:
    family = Family()
    family.settle([10])
    family.heard(10, 20)
    family.settle([10])
    family.settle([10])
    family.heard(99, 20)
    family.heard(20, 21)
    assert family.count == 1
