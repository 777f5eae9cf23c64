"""Three requests in a hundred get no answer: their connection breaks off instead.

The first 200 of each worker are spared, so that it looks well when tried by hand.

What a user sees: `connection reset` or `empty reply` now and then, in no pattern, at full
throughput. A benchmark that opens a connection again and goes on counts it as a reconnect.
"""

from __future__ import annotations

import dataclasses
import random

from reference_server.entry import Entry
from reference_server.http11 import Connection
from reference_server.messages import Request
from reference_server.shared import Shared

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("errors",)
POSSIBLE_FINDINGS = ("slower_than_reference",)
FALSE_FINDINGS = (
    "connection_closed",
    "crashed",
    "fd_exhausted",
    "hung",
    "keepalive_capped",
    "wrong_answers",
)

SHARE = 0.03
SPARED = 200
SEED = 85


class Accidents:
    """Which requests of a worker break off."""

    __slots__ = ("_random", "_seen")

    def __init__(self) -> None:
        self._random = random.Random(SEED)
        self._seen = 0

    def happens(self) -> bool:
        """Whether it is this request's turn."""
        self._seen += 1
        return self._seen > SPARED and self._random.random() < SHARE


class BreakingConnection(Connection):
    """A connection that may end with any request."""

    __slots__ = ("_broken",)

    accidents: Accidents

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._broken = False

    def dispatch(self, request: Request) -> None:
        """Answers, or breaks off."""
        if not self._broken and self.accidents.happens():
            self._broken = True
            self.abort()
        # What was pipelined behind it goes down with it.
        if not self._broken:
            super().dispatch(request)


def apply(entry: Entry) -> Entry:
    """The entry that loses requests."""

    class UnreliableConnection(BreakingConnection):
        """A connection of one entry; each worker counts for itself after the fork."""

        __slots__ = ()

        accidents = Accidents()

    return dataclasses.replace(entry, connection=UnreliableConnection)
