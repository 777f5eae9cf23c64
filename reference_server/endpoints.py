"""What each endpoint answers. Every answer is computed for its request; none is kept."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import orjson

from reference_server.dataset import make_items, with_whole_prices
from reference_server.http11 import JSON, HttpError, Request, Response, Route, SmallBody

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
    return sum([integer(pair.partition(b"=")[2]) for pair in query.split(b"&")])


def query_integer(query: bytes, name: bytes, default: int) -> int:
    for pair in query.split(b"&"):
        key, _, value = pair.partition(b"=")
        if key == name:
            return integer(value)
    return default


def json_items(count: int, multiplier: int) -> bytes:
    """The first `count` items with whole prices, their totals multiplied."""
    items = [
        {**item, "total": item["price"] * item["quantity"] * multiplier}
        for item in WHOLE_PRICE_ITEMS[:count]
    ]
    return orjson.dumps({"items": items, "count": len(items)})


def pipeline(request: Request) -> Response:
    return Response(b"ok")


def baseline(request: Request) -> Response:
    return Response(b"%d" % query_sum(request.query))


def baseline_post(request: Request) -> Response:
    return Response(b"%d" % (query_sum(request.query) + integer(request.body.content())))


def json_2026_03(request: Request) -> Response:
    items = [{**item, "total": round(item["price"] * item["quantity"], 2)} for item in ITEMS]
    return Response(orjson.dumps({"items": items, "count": len(items)}), JSON)


def json_2026_04(request: Request) -> Response:
    count = integer(request.argument)
    if count < 0:
        raise HttpError(HTTPStatus.BAD_REQUEST)
    return Response(json_items(count, query_integer(request.query, b"m", 1)), JSON)


def upload(request: Request) -> Response:
    # What was read and counted, never what the client announced in Content-Length.
    return Response(b"%d" % request.body.received)


ROUTES: Mapping[bytes, Mapping[bytes, Route]] = {
    b"/pipeline": {b"GET": Route(pipeline)},
    b"/baseline11": {b"GET": Route(baseline), b"POST": Route(baseline_post, SmallBody)},
    b"/baseline2": {b"GET": Route(baseline)},
    b"/json": {b"GET": Route(json_2026_03)},
    b"/json/": {b"GET": Route(json_2026_04)},
    b"/upload": {b"POST": Route(upload)},
}
