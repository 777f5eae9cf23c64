"""A worker dies of a segmentation fault after 50,000 requests, and is replaced.

What a user sees: connections that break off many at a time, and PIDs that change. The service goes
on, so that it may take long until somebody looks into the log; at a high rate the workers die
faster than they can be replaced, and the server gives up.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import signal

from reference_server.entry import Entry
from reference_server.http11 import Connection
from reference_server.messages import Request

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("crashed",)
# Some dozens of requests are lost with each worker, out of tens of thousands.
POSSIBLE_FINDINGS = ("errors", "slow_tail", "slower_than_reference", "stalls", "unfair")
FALSE_FINDINGS = (
    "connection_closed",
    "fd_exhausted",
    "hung",
    "keepalive_capped",
    "wrong_answers",
)

MOST_REQUESTS = 50_000


class Life:
    """How many requests a worker has left."""

    __slots__ = ("left",)

    def __init__(self, requests: int) -> None:
        self.left = requests

    def ends(self) -> bool:
        """Whether the last one was served; counts one more."""
        self.left -= 1
        return self.left < 0


class MortalConnection(Connection):
    """A connection whose worker does not live for ever."""

    __slots__ = ()

    life: Life

    def dispatch(self, request: Request) -> None:
        """Answers, or dies."""
        if self.life.ends():
            os.kill(os.getpid(), signal.SIGSEGV)
        super().dispatch(request)


def apply(entry: Entry) -> Entry:
    """The entry whose workers crash."""

    class CrashingConnection(MortalConnection):
        """A connection of one entry; each worker counts for itself after the fork."""

        __slots__ = ()

        life = Life(MOST_REQUESTS)

    def without_core_files() -> None:
        entry.set_up()
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))

    return dataclasses.replace(entry, connection=CrashingConnection, set_up=without_core_files)
