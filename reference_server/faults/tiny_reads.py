"""Requests are read 512 bytes at a time, and answers written one header after the other.

What a user sees: most of the CPU time is the kernel's. Uploads are slow on busy cores, as each
system call brings half a kilobyte; small answers go out in seven packets.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator

from reference_server.entry import Entry
from reference_server.faults._pieces import piecewise
from reference_server.http11 import Connection
from reference_server.shared import Shared

SCENARIO = "upload-20mb"
CONNECTIONS = 32
TRUE_FINDINGS = ("syscall_heavy",)
POSSIBLE_FINDINGS = ("slower_than_reference", "unfair")
FALSE_FINDINGS = (
    "body_buffered",
    "delayed_ack",
    "downstream_wait",
    "low_cpu",
    "quadratic_body",
    "single_threaded",
)

READ_BYTES = 512


def lines(data: bytes) -> Iterator[bytes]:
    """Each line of the head, then the body."""
    head, end, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        yield line + b"\r\n"
    yield end[2:] + body


class TinyConnection(Connection):
    """A connection that does everything in small steps."""

    __slots__ = ()

    def __init__(self, shared: Shared) -> None:
        # One read takes what fits into the buffer.
        shared.buffer = shared.buffer[:READ_BYTES]
        super().__init__(shared)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Writes line by line from here on."""
        super().connection_made(piecewise(transport, lines))


def apply(entry: Entry) -> Entry:
    """The entry that asks the kernel for little at a time."""
    return dataclasses.replace(entry, connection=TinyConnection)
