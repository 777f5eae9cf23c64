"""Items of the PostgreSQL database: a page of them, one of them, a new one, a changed one.

One item is read through a cache, as the profile wants it, and `X-Cache` says whether it was there.
Without a database there are no items, and nothing can be written.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NotRequired, TypedDict, TypeVar

import msgspec
import orjson

from reference_server.database import COLUMNS, Row, row_documents, row_of
from reference_server.dataset import Item, Rating
from reference_server.messages import JSON, HttpError, Response
from reference_server.postgres import POOL

# How long an item may be answered from memory. Each worker has a cache of its own, and a change
# drops the item from that of the worker which made it: the others go on answering the old item
# until it is so old. Nothing else keeps them together.
CACHE_SECONDS = 0.2
# 7 MB in each worker.
CACHE_ITEMS = 10_000

ONE = f"SELECT {COLUMNS} FROM items WHERE id = $1::bigint"
# The page and the total of the same moment, in one round trip. A page past the end is one row of
# NULLs behind its total.
PAGE = f"""
SELECT total, page.* FROM (SELECT count(*) AS total FROM items WHERE category = $1) AS counted
LEFT JOIN (
    SELECT {COLUMNS} FROM items WHERE category = $1 ORDER BY id LIMIT $2::bigint OFFSET $3::bigint
) AS page ON true
ORDER BY page.id
"""
NAMES = COLUMNS.split(", ")
CREATE = f"""
INSERT INTO items ({COLUMNS}) VALUES ({", ".join(f"${n}" for n in range(1, len(NAMES) + 1))})
ON CONFLICT (id) DO UPDATE SET {", ".join(f"{name} = EXCLUDED.{name}" for name in NAMES[1:])}
RETURNING {COLUMNS}
"""
# NULL leaves a column as it is.
UPDATE = f"""
UPDATE items
SET {", ".join(f"{name} = COALESCE(${n}, {name})" for n, name in enumerate(NAMES[1:], 2))}
WHERE id = $1::bigint
RETURNING {COLUMNS}
"""


class NewItem(TypedDict):
    """The body of a creation; what it does not say has a default."""

    id: int
    name: str
    category: str
    price: float
    quantity: int
    active: NotRequired[bool]
    tags: NotRequired[list[str]]
    rating: NotRequired[Rating]


class Changes(TypedDict, total=False):
    """The body of an update; what it does not say stays as it is."""

    name: str
    category: str
    price: float
    quantity: int
    active: bool
    tags: list[str]
    rating: Rating


T = TypeVar("T")
NEW_ITEM = msgspec.json.Decoder(NewItem)
CHANGES = msgspec.json.Decoder(Changes)


@dataclass(slots=True)
class Entry:
    """What is known of an item: `row` until `expires`, and nothing before it was read."""

    row: Row = ()
    expires: float = 0.0


@dataclass(slots=True)
class Cache:
    """The items that were read lately, by their numbers; never more than `size`."""

    size: int = CACHE_ITEMS
    clock: Callable[[], float] = time.monotonic
    entries: dict[int, Entry] = field(default_factory=dict)

    def entry(self, number: int) -> Entry:
        """The entry of an item, made if there is none; the oldest one has to go for it."""
        entry = self.entries.get(number)
        if entry is None:
            if len(self.entries) >= self.size:
                del self.entries[next(iter(self.entries))]
            entry = self.entries[number] = Entry()
        return entry

    def drop(self, number: int) -> None:
        """Forgets an item.

        A read of it that is under way fills the entry that is dropped here, which nobody finds: so
        it cannot bring the old item back.
        """
        self.entries.pop(number, None)

    def fresh(self, entry: Entry) -> bool:
        """Whether an item may be answered from memory."""
        return self.clock() < entry.expires

    def fill(self, entry: Entry, row: Row) -> None:
        """Keeps what was read."""
        entry.row, entry.expires = row, self.clock() + CACHE_SECONDS


# One for each process: workers are forked before anything is read.
CACHE = Cache()


def read(number: int) -> Response | Awaitable[Response]:
    """One item: at once when it is in the cache, otherwise from the database."""
    entry = CACHE.entry(number)
    if CACHE.fresh(entry):
        return item_response(entry.row, HTTPStatus.OK, (b"X-Cache", b"HIT"))
    return _read(number, entry)


async def _read(number: int, entry: Entry) -> Response:
    rows = await POOL.fetch(ONE, number)
    if not rows:
        CACHE.drop(number)
        raise HttpError(HTTPStatus.NOT_FOUND)
    CACHE.fill(entry, rows[0])
    return item_response(rows[0], HTTPStatus.OK, (b"X-Cache", b"MISS"))


async def read_page(category: str, page: int, limit: int) -> Response:
    """The items of a category by their numbers, `limit` on each page, the first of which is 1."""
    rows = await POOL.fetch(PAGE, category, limit, (page - 1) * limit)
    items = row_documents(row[1:] for row in rows if row[1] is not None)
    total = rows[0][0] if rows else 0
    document = {"items": items, "total": total, "page": page, "limit": limit}
    return Response(orjson.dumps(document), JSON)


async def create(body: bytes) -> Response:
    """Writes a new item, or a new content of an item that is there."""
    new = decoded(NEW_ITEM, body)
    item: Item = {"active": True, "tags": [], "rating": {"score": 0.0, "count": 0}, **new}
    rows = await POOL.fetch(CREATE, *row_of(item))
    if not rows:
        # Without a database: to answer that the item was made would be untrue.
        raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE)
    CACHE.drop(new["id"])
    return item_response(rows[0], HTTPStatus.CREATED, (b"Location", b"/crud/items/%d" % new["id"]))


async def update(number: int, body: bytes) -> Response:
    """Changes the fields of an item that the body names."""
    changes = decoded(CHANGES, body)
    tags, rating = changes.get("tags"), changes.get("rating")
    rows = await POOL.fetch(
        UPDATE,
        number,
        *map(changes.get, ("name", "category", "price", "quantity", "active")),
        None if tags is None else orjson.dumps(tags).decode(),
        *((None, None) if rating is None else (rating["score"], rating["count"])),
    )
    if not rows:
        raise HttpError(HTTPStatus.NOT_FOUND)
    CACHE.drop(number)
    return item_response(rows[0])


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The content of a body; one that is no such JSON is a bad request."""
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError):
        raise HttpError(HTTPStatus.BAD_REQUEST) from None


def item_response(row: Row, status: int = HTTPStatus.OK, *headers: tuple[bytes, bytes]) -> Response:
    """An item as JSON."""
    return Response(orjson.dumps(row_documents([row])[0]), JSON, status, headers)
