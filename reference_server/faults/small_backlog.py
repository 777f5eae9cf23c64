"""The accept queue takes one connection, so that others are refused a place in it.

The kernel drops what does not fit, and the client's kernel tries again after one second, then two.

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
TRUE_FINDINGS = ("accept_bottleneck", "slow_tail")
POSSIBLE_FINDINGS = ("low_cpu", "slower_than_reference", "unfair")
FALSE_FINDINGS = (
    "blocking_event_loop",
    "connection_cap",
    "connection_closed",
    "errors",
    "fd_exhausted",
    "keepalive_capped",
)


def apply(entry: Entry) -> Entry:
    """The entry with the shortest accept queue."""
    return dataclasses.replace(entry, backlog=1)
