"""What each endpoint answers. Every answer is computed for its request; none is kept.

Only /crud keeps something from one request to the next: the items that it read lately.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Awaitable, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

import orjson

from reference_server import crud
from reference_server.compression import compressed_response
from reference_server.database import items_document, select_items, worker_connection
from reference_server.dataset import Item, make_items, with_whole_prices
from reference_server.messages import JSON, HttpError, Request, Response, Route, SmallBody
from reference_server.postgres import POOL
from reference_server.static_files import static
from reference_server.websocket import websocket

# About 1 MB of JSON.
COMPRESSION_ITEMS = 6_000
# The highest price times the highest quantity times this still fits the 64 bits of orjson.
MAX_MULTIPLIER = 1_000_000_000_000
# The range and the number of rows when a query does not say.
DEFAULT_MIN, DEFAULT_MAX, MAX_ROWS = 10.0, 50.0, 50
# The items on a page when a query does not say, and a page that no table reaches: the database
# counts up to a page, row by row.
PAGE_ITEMS, MAX_PAGE = 10, 1_000_000

ITEMS = make_items()
WHOLE_PRICE_ITEMS = with_whole_prices(ITEMS)


def integer(text: bytes) -> int:
    """The number that a client wrote in decimal; anything else is a bad request."""
    # int() also takes the underscores of Python's own literals.
    if b"_" in text:
        raise HttpError(HTTPStatus.BAD_REQUEST)
    try:
        return int(text)
    except ValueError:
        raise HttpError(HTTPStatus.BAD_REQUEST) from None


def query_sum(query: bytes) -> int:
    """The sum of all values of a query; 0 when there is none."""
    if not query:
        return 0
    if b"_" in query:
        return sum([integer(pair.partition(b"=")[2]) for pair in query.split(b"&")])
    try:
        return sum([int(pair.partition(b"=")[2]) for pair in query.split(b"&")])
    except ValueError:
        raise HttpError(HTTPStatus.BAD_REQUEST) from None


def query_value(query: bytes, name: bytes) -> bytes | None:
    """The value of the first parameter of this name."""
    for pair in query.split(b"&"):
        key, _, value = pair.partition(b"=")
        if key == name:
            return value
    return None


def query_integer(query: bytes, name: bytes, default: int) -> int:
    """The integer of this name in a query."""
    value = query_value(query, name)
    return default if value is None else integer(value)


def query_number(query: bytes, name: bytes, default: float) -> float:
    """The number of this name in a query, which may have decimals."""
    value = query_value(query, name)
    if value is None:
        return default
    try:
        number = float(value)
    except ValueError:
        raise HttpError(HTTPStatus.BAD_REQUEST) from None
    # float() also takes "nan", "inf" and the underscores of Python's own literals.
    if b"_" in value or not math.isfinite(number):
        raise HttpError(HTTPStatus.BAD_REQUEST)
    return number


def json_items(count: int, multiplier: int) -> bytes:
    """The first `count` items with whole prices, their totals multiplied."""
    items = [
        {**item, "total": item["price"] * item["quantity"] * multiplier}
        for item in WHOLE_PRICE_ITEMS[:count]
    ]
    return orjson.dumps({"items": items, "count": len(items)})


def rounded_items(items: Sequence[Item]) -> bytes:
    """All the items, their totals rounded to cents."""
    with_totals = [{**item, "total": round(item["price"] * item["quantity"], 2)} for item in items]
    return orjson.dumps({"items": with_totals, "count": len(with_totals)})


@functools.cache
def compression_items() -> list[Item]:
    """The items of /compression; their totals are computed for each request."""
    return make_items(COMPRESSION_ITEMS)


def pipeline(request: Request) -> Response:
    """The shortest answer there is."""
    return Response(b"ok")


def baseline(request: Request) -> Response:
    """The sum of the query's values."""
    return Response(b"%d" % query_sum(request.query))


def baseline_post(request: Request) -> Response:
    """The sum of the query's values and the body."""
    return Response(b"%d" % (query_sum(request.query) + integer(request.body.content())))


def json_2026_03(request: Request) -> Response:
    """All items of the dataset, with totals in cents."""
    return Response(rounded_items(ITEMS), JSON)


def json_2026_04(request: Request) -> Response:
    """The first items, with totals times `m`, compressed when asked for."""
    count = integer(request.argument)
    multiplier = query_integer(request.query, b"m", 1)
    if count < 0 or abs(multiplier) > MAX_MULTIPLIER:
        raise HttpError(HTTPStatus.BAD_REQUEST)
    return compressed_response(request, json_items(count, multiplier), JSON)


def compression(request: Request) -> Response:
    """About 1 MB of items, compressed when asked for."""
    return compressed_response(request, rounded_items(compression_items()), JSON)


def database(request: Request) -> Response:
    """Rows of a price range from SQLite."""
    low, high, limit = price_range(request.query)
    return Response(items_document(select_items(worker_connection(), low, high, limit)), JSON)


async def async_database(request: Request) -> Response:
    """Rows of a price range from PostgreSQL; none when there is no database."""
    low, high, limit = price_range(request.query)
    return Response(items_document(await POOL.select_items(low, high, limit)), JSON)


def price_range(query: bytes) -> tuple[float, float, int]:
    """The lowest price, the highest price and the number of rows that a query asks for."""
    limit = query_integer(query, b"limit", MAX_ROWS)
    if limit < 0:
        raise HttpError(HTTPStatus.BAD_REQUEST)
    return (
        query_number(query, b"min", DEFAULT_MIN),
        query_number(query, b"max", DEFAULT_MAX),
        min(limit, MAX_ROWS),
    )


def crud_page(request: Request) -> Awaitable[Response]:
    """A page of the items of a category."""
    category = query_value(request.query, b"category")
    page = query_integer(request.query, b"page", 1)
    limit = query_integer(request.query, b"limit", PAGE_ITEMS)
    if category is None or not 1 <= page <= MAX_PAGE or limit < 1:
        raise HttpError(HTTPStatus.BAD_REQUEST)
    # In a query a plus is a space.
    name = unquote_to_bytes(category.replace(b"+", b" ")).decode(errors="replace")
    return crud.read_page(name, page, min(limit, MAX_ROWS))


def crud_create(request: Request) -> Awaitable[Response]:
    """The item that the body describes, made or replaced."""
    return crud.create(request.body.content())


def crud_item(request: Request) -> Response | Awaitable[Response]:
    """One item, from the cache while it is fresh."""
    return crud.read(integer(request.argument))


def crud_update(request: Request) -> Awaitable[Response]:
    """One item with the changes that the body names."""
    return crud.update(integer(request.argument), request.body.content())


def upload(request: Request) -> Response:
    """How many bytes of the body were read."""
    # What was read and counted, never what the client announced in Content-Length.
    return Response(b"%d" % request.body.received)


ROUTES: Mapping[bytes, Mapping[bytes, Route]] = {
    b"/pipeline": {b"GET": Route(pipeline)},
    b"/baseline11": {b"GET": Route(baseline), b"POST": Route(baseline_post, SmallBody)},
    b"/baseline2": {b"GET": Route(baseline)},
    b"/json": {b"GET": Route(json_2026_03)},
    b"/json/": {b"GET": Route(json_2026_04)},
    b"/compression": {b"GET": Route(compression)},
    b"/upload": {b"POST": Route(upload)},
    b"/db": {b"GET": Route(database)},
    b"/async-db": {b"GET": Route(async_database)},
    b"/crud/items": {b"GET": Route(crud_page), b"POST": Route(crud_create, SmallBody)},
    b"/crud/items/": {b"GET": Route(crud_item), b"PUT": Route(crud_update, SmallBody)},
    b"/static/": {b"GET": Route(static)},
    b"/ws": {b"GET": Route(websocket)},
}
