"""The SQLite database of /db: made once, and read with one query for each request."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from reference_server.dataset import Item, make_items
from reference_server.made_once import cache_directory, made_once

ROWS = 100_000
# There is no index on price, because the contract measures the scan.
TABLE = """
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    price REAL NOT NULL,
    quantity INTEGER NOT NULL,
    active INTEGER NOT NULL,
    tags TEXT NOT NULL,
    rating_score REAL NOT NULL,
    rating_count INTEGER NOT NULL
)
"""
COLUMNS = "id, name, category, price, quantity, active, tags, rating_score, rating_count"
SELECT = f"SELECT {COLUMNS} FROM items WHERE price BETWEEN ? AND ? LIMIT ?"
# More than the whole file (10 MB), so that pages are read where they lie in the page cache.
MMAP_BYTES = 64 * 1024 * 1024

Row = Sequence[Any]


def row_of(item: Item) -> tuple[object, ...]:
    """The columns of an item, in the order of COLUMNS; its tags as JSON text."""
    rating = item["rating"]
    return (
        *(item["id"], item["name"], item["category"], item["price"], item["quantity"]),
        *(item["active"], orjson.dumps(item["tags"]).decode(), rating["score"], rating["count"]),
    )


def row_documents(rows: Iterable[Row]) -> list[dict[str, object]]:
    """The items that the rows of either database hold."""
    return [
        {
            "id": number,
            "name": name,
            "category": category,
            "price": price,
            "quantity": quantity,
            "active": bool(active),
            # It is JSON already: parsing it only to write it again would be wasted.
            "tags": orjson.Fragment(tags),
            "rating": {"score": score, "count": count},
        }
        for number, name, category, price, quantity, active, tags, score, count in rows
    ]


def items_document(rows: Iterable[Row]) -> bytes:
    """The JSON answer for rows of either database."""
    items = row_documents(rows)
    return orjson.dumps({"items": items, "count": len(items)})


def make_database(path: Path, rows: int = ROWS) -> None:
    """Writes a database with `rows` items; always the same ones."""
    connection = sqlite3.connect(path)
    try:
        connection.execute(TABLE)
        places = ", ".join("?" * len(COLUMNS.split(",")))
        connection.executemany(
            f"INSERT INTO items ({COLUMNS}) VALUES ({places})", map(row_of, make_items(rows))
        )
        connection.commit()
    finally:
        connection.close()


def database_path() -> Path:
    """The database with all its rows, made if this is its first use."""
    return made_once(cache_directory() / "items.db", make_database)


def connect(path: Path) -> sqlite3.Connection:
    """A connection that only reads."""
    # SQLite: "immutable=1 [...] the database cannot be modified, even by a process with higher
    # privilege, and so the database is opened read-only and all locking and change detection
    # is disabled": that saves several system calls for each query.
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True, isolation_level=None
    )
    connection.execute(f"PRAGMA mmap_size = {MMAP_BYTES}")
    return connection


@functools.cache
def worker_connection() -> sqlite3.Connection:
    """The one connection of this process.

    It is opened at the first request, thus in the worker: SQLite forbids to carry a connection
    across a fork. It also keeps the compiled statement, so that no request compiles it again.
    """
    return connect(database_path())


def select_items(
    connection: sqlite3.Connection, low: float, high: float, limit: int
) -> Sequence[Row]:
    """Up to `limit` rows with low <= price <= high.

    The scan runs in the thread of the event loop. It ends at the last row wanted, mostly within
    0.2 ms; a range that holds nothing costs a scan of the whole table, some milliseconds. A pool
    of threads would not make the core of this worker any faster, but cost each query two changes
    of thread.
    """
    return connection.execute(SELECT, (low, high, limit)).fetchall()
