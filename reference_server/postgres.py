"""The PostgreSQL database of /async-db and /crud: a pool of connections in each worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Any

from reference_server.database import COLUMNS, ROWS, Row, row_of
from reference_server.dataset import make_items
from reference_server.messages import HttpError

log = logging.getLogger(__name__)

# The casts let a column of integers, as well as one of floats, take any number.
SELECT = (
    f"SELECT {COLUMNS} FROM items WHERE price BETWEEN $1::float8 AND $2::float8 LIMIT $3::bigint"
)
TABLE = """
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    price DOUBLE PRECISION NOT NULL,
    quantity INTEGER NOT NULL,
    active BOOLEAN NOT NULL,
    tags JSONB NOT NULL,
    rating_score DOUBLE PRECISION NOT NULL,
    rating_count INTEGER NOT NULL
)
"""
# For the number of items in a category: 3 ms in place of the 15 ms that reading the table takes.
# There is none on price, because the contract measures that scan.
INDEX = "CREATE INDEX items_category ON items (category, id)"
# Of all workers together, unless DATABASE_MAX_CONN says otherwise. PostgreSQL itself allows 100.
DEFAULT_MAX_CONNECTIONS = 64
CONNECT_SECONDS = 5.0
# Of what remains between the end of draining and the moment when the parent kills a worker.
CLOSE_SECONDS = 0.3


def max_connections() -> int:
    """How many connections all workers together may open.

    Raises: ValueError when DATABASE_MAX_CONN is no number.
    """
    return int(os.environ.get("DATABASE_MAX_CONN") or DEFAULT_MAX_CONNECTIONS)


async def keep_as_it_is(connection: Any) -> None:
    """Resets nothing: a handler changes no setting, so there is nothing to set back."""


class Pool:
    """The connections of one worker, and no connections when there is no database."""

    def __init__(self) -> None:
        self._pool: Any = None
        self._errors: tuple[type[BaseException], ...] = ()
        self._refusals: tuple[type[BaseException], ...] = ()

    @contextlib.asynccontextmanager
    async def opened(self, workers: int) -> AsyncIterator[None]:
        """The pool is open inside, with this worker's share of DATABASE_MAX_CONN.

        It connects at the first requests, not here: a database that is not there yet costs those
        requests a 503, and not the life of the worker.
        """
        url = os.environ.get("DATABASE_URL")
        if not url:
            yield
            return
        # Imported here because it takes 3 MiB and most profiles have no database.
        import asyncpg  # type: ignore[import-untyped]

        self._errors = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
        # A number out of the column's range, a text with a NUL.
        self._refusals = (asyncpg.DataError,)
        self._pool = await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=max(1, max_connections() // workers),
            timeout=CONNECT_SECONDS,
            # A connection that was made is kept: no timer for each request, no connecting later.
            max_inactive_connection_lifetime=0,
            # Otherwise every request waits for a second round trip, with which the pool undoes
            # what a user of the connection may have set.
            reset=keep_as_it_is,
        )
        try:
            yield
        finally:
            pool, self._pool = self._pool, None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pool.close(), CLOSE_SECONDS)

    async def select_items(self, low: float, high: float, limit: int) -> Sequence[Row]:
        """Up to `limit` rows with low <= price <= high; none without a database.

        Raises: HttpError (503) when the database cannot answer.
        """
        return await self.fetch(SELECT, low, high, limit)

    async def fetch(self, query: str, *arguments: object) -> Sequence[Row]:
        """The rows that a query returns, as from an empty table when there is no database.

        Raises: HttpError: 503 when the database cannot answer, 400 when it takes no such values.
        """
        if self._pool is None:
            return ()
        try:
            # The connection keeps the prepared statement: the query is sent and planned once.
            rows: Sequence[Row] = await self._pool.fetch(query, *arguments)
        except self._refusals as error:
            raise HttpError(HTTPStatus.BAD_REQUEST) from error
        except self._errors as error:
            log.warning("the database does not answer: %s", error)
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE) from error
        return rows


# One for each process: workers are forked before it is opened.
POOL = Pool()


async def fill_database(url: str, rows: int = ROWS) -> None:
    """Makes the table and its rows, the same as in SQLite; changes no table that is there.

    Raises: OSError or asyncpg's errors when it cannot be done.
    """
    import asyncpg

    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    try:
        # All or nothing: half a table would be taken for a whole one.
        async with connection.transaction():
            await connection.execute(TABLE)
            await connection.copy_records_to_table(
                "items", records=map(row_of, make_items(rows)), columns=COLUMNS.split(", ")
            )
            await connection.execute(INDEX)
        # VACUUM notes which pages hold only rows that everybody may see: then a count reads the
        # index alone.
        await connection.execute("VACUUM ANALYZE items")
    finally:
        await connection.close()
