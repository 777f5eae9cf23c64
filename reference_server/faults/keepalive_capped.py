"""The connection is closed after 20 responses, as `keepalive_requests 20` of nginx would do.

What a user sees: one connection opened for every 20 requests. Throughput falls a little, the tail
of the latency more, and a client that counts reconnects has one for every 20 responses.
"""

from __future__ import annotations

import dataclasses

from reference_server.entry import Entry
from reference_server.http11 import Connection
from reference_server.shared import Shared

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("keepalive_capped",)
POSSIBLE_FINDINGS = ("slower_than_reference",)
FALSE_FINDINGS = ("connection_closed", "connection_cap", "accept_bottleneck", "errors", "crashed")

MOST_RESPONSES = 20


class CappedConnection(Connection):
    """A connection that says `Connection: close` with its last response."""

    __slots__ = ("_asked",)

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._asked = 0

    def keeps_open(self) -> bool:
        """Until the last response."""
        self._asked += 1
        return super().keeps_open() and self._asked < MOST_RESPONSES


def apply(entry: Entry) -> Entry:
    """The entry whose connections serve 20 requests."""
    return dataclasses.replace(entry, connection=CappedConnection)
