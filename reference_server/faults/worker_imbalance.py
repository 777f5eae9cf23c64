"""One worker gets all connections; the others have nothing to do.

A filter on the shared port chooses the worker, and always chooses the first one. A steering by core
or by address does the same when all packets come in on one core, or all clients from one proxy.

What a user sees: as many processes as cores, one of them at its limit, and no more throughput than
one process gives. Which one it is may change with the next start.

Source: socket(7), SO_ATTACH_REUSEPORT_CBPF.
"""

from __future__ import annotations

import ctypes
import dataclasses
import socket
from collections.abc import Sequence

from reference_server.entry import Entry

SCENARIO = "json@2026-03"
CONNECTIONS = 64
TRUE_FINDINGS = ("worker_imbalance", "low_cpu")
POSSIBLE_FINDINGS = ("slower_than_reference",)
FALSE_FINDINGS = (
    "accept_bottleneck",
    "blocking_event_loop",
    "cpu_quota",
    "gil_bound",
    "lock_contention",
    # There are enough of them, and more would not help.
    "single_threaded",
    "too_few_workers",
)

SO_ATTACH_REUSEPORT_CBPF = 51  # <asm-generic/socket.h>
BPF_RETURN_CONSTANT = 0x06  # BPF_RET | BPF_K, <linux/bpf_common.h>
FIRST_WORKER = 0


class Instruction(ctypes.Structure):
    """struct sock_filter of <linux/filter.h>."""

    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jump_true", ctypes.c_uint8),
        ("jump_false", ctypes.c_uint8),
        ("constant", ctypes.c_uint32),
    )


class Program(ctypes.Structure):
    """struct sock_fprog of <linux/filter.h>."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(Instruction)))


def steer_to_the_first(listeners: Sequence[socket.socket]) -> None:
    """Has the kernel give every new connection of this port to the first listening socket."""
    instruction = Instruction(BPF_RETURN_CONSTANT, 0, 0, FIRST_WORKER)
    program = Program(1, ctypes.pointer(instruction))
    listeners[0].setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, bytes(program))


def apply(entry: Entry) -> Entry:
    """The entry whose connections all go to one worker."""
    return dataclasses.replace(entry, listening=steer_to_the_first)
