"""A database of its own process, which takes its time, and the connections of a worker to it.

It is a child of the worker that asks it, listens on a port of the loopback interface, and is killed
by the kernel when the worker ends. A query is a line of JSON, `[low, high, limit]`; the answer is a
line with the rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import dataclasses
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence

import orjson

from reference_server.database import Row, items_document, select_items, worker_connection
from reference_server.endpoints import price_range
from reference_server.entry import Entry
from reference_server.faults import replace_route
from reference_server.messages import JSON, Request, Response, Route
from reference_server.supervisor import die_with

PR_SET_NAME = 15  # <linux/prctl.h>
NAME = b"database"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Backend:
    """The database of one worker, and the pool of connections to it.

    `seconds` is what each query takes; `most_connections` is the size of the pool.
    """

    def __init__(self, seconds: float, most_connections: int) -> None:
        self.seconds = seconds
        self.most_connections = most_connections
        self._address: tuple[str, int] | None = None
        self._free: list[Connection] = []
        self._places = asyncio.Semaphore(most_connections)

    def start(self) -> None:
        """Starts the database of this worker, before its event loop runs."""
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            self._address = listener.getsockname()
            start_database(listener, self.seconds)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Connections are made inside, when they are needed, and closed at the end."""
        try:
            yield
        finally:
            for _, writer in self._free:
                writer.close()

    async def select_items(self, low: float, high: float, limit: int) -> Sequence[Row]:
        """Up to `limit` rows with low <= price <= high; waits for a free connection first."""
        async with self._places:
            reader, writer = self._free.pop() if self._free else await self._connect()
            try:
                writer.write(orjson.dumps([low, high, limit]) + b"\n")
                rows: Sequence[Row] = orjson.loads(await reader.readline())
            except BaseException:
                # An answer may still be on its way: nobody else must take it for theirs.
                writer.close()
                raise
            self._free.append((reader, writer))
        return rows

    async def _connect(self) -> Connection:
        assert self._address is not None
        return await asyncio.open_connection(*self._address)


def start_database(listener: socket.socket, seconds: float) -> None:
    """Forks the database, a child that ends with this process."""
    parent = os.getpid()
    if os.fork():
        return
    # From here on in the child, which must never return into the code of the worker.
    try:
        die_with(parent)
        # Ctrl-C reaches every process of a terminal, and requests under way still need their rows.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        # What tools show as the name of the process.
        ctypes.CDLL(None).prctl(PR_SET_NAME, NAME, 0, 0, 0)
        asyncio.run(serve_database(listener, seconds))
    finally:
        os._exit(1)


async def serve_database(listener: socket.socket, seconds: float) -> None:
    """Answers queries on the connections of a listening socket, for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while query := await reader.readline():
            # A disk or a plan that takes its time: other queries go on meanwhile.
            await asyncio.sleep(seconds)
            low, high, limit = orjson.loads(query)
            rows = select_items(worker_connection(), low, high, limit)
            writer.write(orjson.dumps(rows) + b"\n")
        writer.close()

    server = await asyncio.start_server(serve, sock=listener)
    await server.serve_forever()


def with_backend(entry: Entry, seconds: float, most_connections: int) -> Entry:
    """The entry whose workers ask a database of that kind for the rows of /db and /async-db."""
    # Made before the workers are forked: each of them has its own.
    backend = Backend(seconds, most_connections)

    async def database(request: Request) -> Response:
        rows = await backend.select_items(*price_range(request.query))
        return Response(items_document(rows), JSON)

    def set_up() -> None:
        entry.set_up()
        backend.start()

    @contextlib.asynccontextmanager
    async def resources(workers: int) -> AsyncIterator[None]:
        async with entry.resources(workers), backend.opened():
            yield

    changed = replace_route(entry, b"GET", b"/db", Route(database))
    changed = replace_route(changed, b"GET", b"/async-db", Route(database))
    return dataclasses.replace(changed, set_up=set_up, resources=resources)
