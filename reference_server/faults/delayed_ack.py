"""Head and body are written apart, without TCP_NODELAY: each answer waits for a delayed ACK.

The kernel holds the body back until the head is acknowledged (Nagle's algorithm), and the client's
kernel waits some 40 ms before it acknowledges a head that its program does not answer.

What a user sees: every request takes 40 to 44 ms however little it does, on idle cores. Throughput
is the number of connections times 23 per second, and follows it without end.

Source: RFC 9293, 3.7.4 (Nagle), 3.8.6.3 (delayed acknowledgments).
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket

from reference_server.entry import Entry
from reference_server.faults._pieces import is_plain, piecewise
from reference_server.http11 import Connection

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("delayed_ack", "low_cpu")
POSSIBLE_FINDINGS = ("syscall_heavy", "slower_than_reference")
FALSE_FINDINGS = (
    "blocking_event_loop",
    "downstream_wait",
    "lock_contention",
    "pool_exhausted",
    "single_threaded",
    "slow_tail",
)


def head_and_body(data: bytes) -> tuple[bytes, ...]:
    """What is written first, and what after it."""
    head, end, body = data.partition(b"\r\n\r\n")
    return (head + end, body) if body else (data,)


class DelayedConnection(Connection):
    """A connection that writes the head of an answer, then its body."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Turns Nagle's algorithm on, which the event loop has turned off."""
        super().connection_made(piecewise(transport, head_and_body))
        if is_plain(transport):
            plain = transport.get_extra_info("socket")
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)


def apply(entry: Entry) -> Entry:
    """The entry that writes every answer in two parts."""
    return dataclasses.replace(entry, connection=DelayedConnection)
