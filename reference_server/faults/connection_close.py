"""The connection is closed after every response, although the client asked to keep it.

What a user sees: as many connections opened as requests answered, a throughput that is a fraction
of what it could be, much of the CPU time in the kernel, and at high rates no free ports left.
"""

from __future__ import annotations

import dataclasses

from reference_server.entry import Entry
from reference_server.http11 import Connection

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("connection_closed",)
FALSE_FINDINGS = ("keepalive_capped", "connection_cap", "accept_bottleneck", "single_threaded")


class ClosingConnection(Connection):
    """A connection that serves one request and says `Connection: close`."""

    __slots__ = ()

    def keeps_open(self) -> bool:
        """Never."""
        return False


def apply(entry: Entry) -> Entry:
    """The entry whose connections serve one request."""
    return dataclasses.replace(entry, connection=ClosingConnection)
