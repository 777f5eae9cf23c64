"""What the load worker itself costs: that is what the validity rules read."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
import time
from dataclasses import dataclass

SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("qq")


@dataclass(frozen=True, slots=True)
class Spent:
    """Cumulative seconds of this process's one thread."""

    wall_s: float
    cpu_s: float
    run_queue_s: float


def spent() -> Spent:
    """What this thread has used so far.

    Source: Linux, Documentation/scheduler/sched-stats.rst: /proc/<pid>/schedstat holds time on
    the CPU and time waiting on a run queue, in nanoseconds.
    """
    fd = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    try:
        run, wait, _ = os.read(fd, 128).split()
    finally:
        os.close(fd)
    return Spent(time.monotonic(), int(run) / 1e9, int(wait) / 1e9)


def receipt_time(ancillary: list[tuple[int, int, bytes]]) -> float | None:
    """When the kernel received the bytes of a recvmsg, on the realtime clock; None if it is silent.

    Source: Linux, Documentation/networking/timestamping.rst, SO_TIMESTAMPNS.
    """
    for _, kind, data in ancillary:
        if kind == SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
            return float(seconds) + float(nanoseconds) / 1e9
    return None


# Where in struct tcp_info the microseconds are that a connection had data to send, and of them was
# held up by the receiver's window and by our own send buffer.
# Source: Linux, include/uapi/linux/tcp.h.
_BUSY_AT, _RWND_AT, _SNDBUF_AT = 168, 176, 184


def send_times(sock: socket.SocketType) -> tuple[float, float, float] | None:
    """Seconds busy, limited by the receiver's window, limited by the send buffer, since the
    connection was opened; None where the kernel does not tell."""
    try:
        data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except OSError:
        return None
    if len(data) < _SNDBUF_AT + 8:
        return None
    busy, rwnd, sndbuf = (
        int.from_bytes(data[at : at + 8], "little") / 1e6 for at in (_BUSY_AT, _RWND_AT, _SNDBUF_AT)
    )
    return busy, rwnd, sndbuf


def ready_within(epoll: select.epoll, seconds: float) -> None:
    """Wait at most so long: select takes microseconds where epoll rounds up to milliseconds."""
    select.select([epoll], (), (), seconds)


# prctl(2): timers of a thread may be late by its slack, 50 us unless it says otherwise.
_PR_SET_TIMERSLACK = 29


def wake_on_time() -> None:
    """Timers of this thread are not put off: what an open loop is late counts as latency."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
