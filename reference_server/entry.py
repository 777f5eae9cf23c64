"""The entry as a value: everything that a fault may change about it, and nothing else."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from reference_server.endpoints import ROUTES
from reference_server.http11 import Connection
from reference_server.messages import Routes
from reference_server.postgres import POOL


def nothing() -> None:
    """The healthy entry has nothing to set up."""


def as_they_are(listeners: Sequence[socket.socket]) -> None:
    """The healthy entry leaves it to the kernel to spread connections evenly."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How the server is built: its defaults are the healthy entry.

    `workers` is the number of processes, each with a listening socket of its own; `supervised`
    is whether a parent process watches and replaces them; `set_up` is called in each of them
    before it serves; `resources`, given the number of workers, is what each of them holds open
    while its loop runs. `backlog` is the length that the accept queue may reach; `listening` is
    given the open sockets of each address, one for each worker, before the workers start.
    """

    workers: int
    routes: Routes
    connection: type[Connection] = Connection
    supervised: bool = True
    set_up: Callable[[], None] = nothing
    resources: Callable[[int], AbstractAsyncContextManager[None]] = POOL.opened
    # More than any profile opens at once per worker; the kernel caps it at net.core.somaxconn.
    backlog: int = 16_384
    listening: Callable[[Sequence[socket.socket]], None] = as_they_are


def healthy_entry(workers: int | None = None) -> Entry:
    """One worker for each core that the process may run on, unless told otherwise."""
    return Entry(workers=workers or len(os.sched_getaffinity(0)), routes=ROUTES)
