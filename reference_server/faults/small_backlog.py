"""The accept queue has room for 8 connections: of those that come together most are dropped.

The client's kernel tries again after one second, then two, and nobody is told.

What a user sees: connections that are kept are as fast as ever. Clients that open one for every few
requests wait for whole seconds now and then, without an error; the kernel counts listen overflows.

Source: listen(2); tcp(7), tcp_abort_on_overflow.
"""

from __future__ import annotations

import dataclasses

from reference_server.entry import Entry

# The profile that opens a connection for every ten requests.
SCENARIO = "limited-conn"
CONNECTIONS = 256
TRUE_FINDINGS = ("accept_bottleneck",)
# Few connections are late, but by seconds. One whose handshake was cut off at its end looks open to
# the client, and its request goes unanswered until it is sent again at the right moment.
POSSIBLE_FINDINGS = ("hung", "low_cpu", "slow_tail", "slower_than_reference", "unfair")
FALSE_FINDINGS = (
    "blocking_event_loop",
    "connection_cap",
    "connection_closed",
    "errors",
    "fd_exhausted",
    "keepalive_capped",
)

# listen(8) was a common default once, and is one of hand-written servers.
BACKLOG = 8


def apply(entry: Entry) -> Entry:
    """The entry with a short accept queue."""
    return dataclasses.replace(entry, backlog=BACKLOG)
