"""Processes that the server's tree starts, each of them counted however short it lives.

The kernel's process connector tells of every fork on the host. Root may listen, since Linux 6.6
everybody; never in a PID namespace of its own, as containers have. Source: Linux,
drivers/connector/cn_proc.c, linux/cn_proc.h, linux/connector.h; socket filters:
Documentation/networking/filter.rst.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterable

_NETLINK_CONNECTOR = 11
_CN_IDX_PROC = _CN_VAL_PROC = 1
_PROC_CN_MCAST_LISTEN = 1
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_NLMSG_DONE = 3
_HEADER = struct.Struct("=IHHII")
# struct cn_msg: id (2), seq, ack, length, flags.
_MESSAGE = struct.Struct("=IIIIHH")
# struct proc_event: what, cpu, timestamp; for a fork: parent_pid, parent_tgid, child_pid,
# child_tgid; for the answer to a request: its error number.
_EVENT = struct.Struct("=IIQ")
_FORK = struct.Struct("=IIII")
_EVENT_AT = _HEADER.size + _MESSAGE.size
_FORK_AT = _EVENT_AT + _EVENT.size
_EVENT_NONE, _EVENT_FORK = 0, 1
_ANSWER_S = 0.1
_BUFFER = 4 << 20
# Classic BPF: 0x20 loads a word in network order, 0x15 jumps when equal to a constant, 0x1d when
# equal to X, 0x07 copies the accumulator to X, 0x06 returns how many bytes are let through.
_FILTER = struct.Struct("@HBBI")


def parse_fork(data: bytes) -> tuple[int, int] | None:
    """(PID that forked, PID that it started) of a datagram; None for a thread or another event.

    Raises: ValueError when it is cut off.
    """
    if len(data) < _FORK_AT:
        raise ValueError(f"process event of {len(data)} bytes")
    if _EVENT.unpack_from(data, _EVENT_AT)[0] != _EVENT_FORK:
        return None
    if len(data) < _FORK_AT + _FORK.size:
        raise ValueError(f"fork event of {len(data)} bytes")
    _, parent, child_thread, child = _FORK.unpack_from(data, _FORK_AT)
    return (parent, child) if child_thread == child else None


def _in_network_order(value: int) -> int:
    return socket.htonl(value)


def fork_filter() -> bytes:
    """A socket filter that lets forks of processes through and drops all else in the kernel."""
    rows = (
        (0x20, 0, 0, _EVENT_AT),
        (0x15, 0, 5, _in_network_order(_EVENT_FORK)),
        (0x20, 0, 0, _FORK_AT + 8),
        (0x07, 0, 0, 0),
        (0x20, 0, 0, _FORK_AT + 12),
        (0x1D, 0, 1, 0),
        (0x06, 0, 0, 0xFFFF),
        (0x06, 0, 0, 0),
    )
    return b"".join(_FILTER.pack(*row) for row in rows)


class Family:
    """Who belongs to a tree of processes, told by its forks. `count`: forks by its members."""

    def __init__(self) -> None:
        self.count = 0
        self._members: set[int] = set()
        self._born: set[int] = set()

    def heard(self, parent: int, child: int) -> None:
        """A process forked."""
        if parent in self._members or parent in self._born:
            self.count += 1
            self._born.add(child)

    def settle(self, alive: Iterable[int]) -> None:
        """These are alive. Who was born since the last time may still be missing among them."""
        self._members = {*alive, *self._born}
        self._born = set()


class ForkListener:
    """Counts the forks of a tree.

    Raises: OSError when this user, or a process in this container, may not listen.
    """

    def __init__(self, tree: Iterable[int] = ()) -> None:
        self._family = Family()
        # Events were lost: the count is a lower bound.
        self.lost = False
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_CONNECTOR)
        try:
            self._subscribe()
        except OSError:
            self._socket.close()
            raise
        self._family.settle(tree)

    def _subscribe(self) -> None:
        self._socket.bind((0, _CN_IDX_PROC))
        operation = struct.pack("=I", _PROC_CN_MCAST_LISTEN)
        message = _MESSAGE.pack(_CN_IDX_PROC, _CN_VAL_PROC, 0, 0, len(operation), 0) + operation
        header = _HEADER.pack(_HEADER.size + len(message), _NLMSG_DONE, 0, 0, os.getpid())
        # In another PID or user namespace than the host's the kernel does not even answer.
        self._socket.settimeout(_ANSWER_S)
        self._socket.send(header + message)
        while True:
            data = self._socket.recv(4096)
            if len(data) >= _FORK_AT + 4 and _EVENT.unpack_from(data, _EVENT_AT)[0] == _EVENT_NONE:
                (error,) = struct.unpack_from("=I", data, _FORK_AT)
                if error:
                    raise OSError(error, "process connector")
                break
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        program = fork_filter()
        kept = ctypes.create_string_buffer(program, len(program))
        count = len(program) // _FILTER.size
        pointer = struct.pack("@HP", count, ctypes.addressof(kept))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)
        self._socket.setblocking(False)

    def read(self) -> list[int]:
        """Listen to what has happened; the processes that the tree has started since."""
        born: list[int] = []
        while True:
            try:
                data = self._socket.recv(4096)
            except BlockingIOError:
                return born
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.lost = True
                continue
            event = parse_fork(data)
            if event is not None:
                before = self._family.count
                self._family.heard(*event)
                if self._family.count > before:
                    born.append(event[1])

    @property
    def count(self) -> int:
        """Forks of the tree since the beginning."""
        return self._family.count

    def settle(self, alive: Iterable[int]) -> None:
        """The tree consists of these, and of those born since."""
        self._family.settle(alive)

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()
