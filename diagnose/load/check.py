"""Is a response what the contract says? Status always, the body as far as it is told."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import brotli

from diagnose.load.http1 import Response
from diagnose.model.load import Failure
from diagnose.model.scenario import Expectation

# Totals are money-like products of floats: half a unit of the last decimal that is kept.
TOTAL_TOLERANCE = 0.011
# A body that decodes to more is not looked at: it could take all memory.
MAX_DECODED = 8 * 1024 * 1024
# As zlib's decompressobj takes them: the largest window, and which wrapper.
GZIP_BITS, ZLIB_BITS = 31, 15
# What a server sends may be megabytes; a reader needs its beginning.
SHOWN = 200
_Fields = Mapping[str, tuple[type, ...]]
_ROW: _Fields = {
    "id": (int,),
    "name": (str,),
    "category": (str,),
    "price": (int, float),
    "quantity": (int,),
    "active": (bool,),
    "tags": (list,),
    "rating": (dict,),
}
_RATING: _Fields = {"score": (int, float), "count": (int,)}


class _Wrong(Exception):
    """What is wrong with a body."""


def looks_into_body(expect: Expectation) -> bool:
    """The body must be decoded or parsed to check it: too dear for every response."""
    return (
        expect.items is not None
        or expect.min_items is not None
        or expect.rows is not None
        or bool(expect.encoding)
    )


def compares_body(expect: Expectation) -> bool:
    """The body is compared at all."""
    return expect.body is not None or expect.sum or expect.same or looks_into_body(expect)


def wrong(
    response: Response,
    expect: Expectation,
    body_too: bool,
    expected: bytes | None = None,
    first: bytes | None = None,
) -> tuple[Failure, str] | None:
    """What is wrong with a response, with what was seen; None when it is right.

    body_too: compare the body as well (for exact bodies that costs nothing; for JSON it parses).
    expected: the exact body where it is not the expectation's own. first: the body that all
    others must equal, where the template says so.
    """
    if expected is None and expect.body is not None:
        expected = expect.body.encode().strip()
    problem = _problem(response, expect, body_too, expected, first)
    if problem is None:
        return None
    kind, detail = problem
    return kind, detail if len(detail) <= SHOWN else detail[:SHOWN] + "..."


def _problem(
    response: Response,
    expect: Expectation,
    body_too: bool,
    expected: bytes | None,
    first: bytes | None,
) -> tuple[Failure, str] | None:
    head = response.head
    if expect.status:
        if head.status not in expect.status:
            return Failure.WRONG_STATUS, f"status {head.status}, expected {list(expect.status)}"
    elif not 200 <= head.status < 300:
        return Failure.WRONG_STATUS, f"status {head.status}, expected 2xx"
    if expect.content_type is not None:
        seen = head.content_type.partition(";")[0].strip().lower()
        if seen != expect.content_type.lower():
            return (
                Failure.WRONG_BODY,
                f"Content-Type {head.content_type!r}, expected {expect.content_type!r}",
            )
    if expect.encoding is not None and head.content_encoding not in (expect.encoding or ("",)):
        return (
            Failure.WRONG_BODY,
            f"Content-Encoding {head.content_encoding!r}, expected "
            f"{' or '.join(expect.encoding) or 'none'}",
        )
    if expect.max_wire_bytes is not None and response.body_length > expect.max_wire_bytes:
        return (
            Failure.WRONG_BODY,
            f"{response.body_length} bytes of body, expected at most {expect.max_wire_bytes}",
        )
    if not body_too:
        return None
    try:
        _check_body(response, expect, expected, first)
    except _Wrong as problem:
        return Failure.WRONG_BODY, str(problem)
    return None


def _check_body(
    response: Response, expect: Expectation, expected: bytes | None, first: bytes | None
) -> None:
    if expected is not None:
        body = response.body
        if body is not None and response.head.content_encoding and looks_into_body(expect):
            body = _decoded(response)
        if body is None or body.strip() != expected:
            raise _Wrong(f"body {(body or b'')[:80]!r}, expected {expected[:80]!r}")
    if expect.same and first is not None and response.body != first:
        raise _Wrong(
            f"body of {response.body_length} bytes differs from the first one of {len(first)}"
        )
    if expect.items is None and expect.min_items is None and expect.rows is None:
        if expect.encoding and expected is None:
            _decoded(response)
        return
    body = _decoded(response)
    try:
        document = json.loads(body)
        items = document["items"]
        count = document["count"]
        if type(items) is not list:
            raise _Wrong(f"items is not a list: {body[:60]!r}")
        if expect.rows is not None:
            _check_rows(items, count, expect)
        else:
            _check_items(items, count, expect)
    except (
        *(ValueError, KeyError, TypeError, AttributeError, IndexError),
        *(ArithmeticError, RecursionError),
    ) as error:
        raise _Wrong(
            f"not the JSON of the contract ({type(error).__name__}: {error}): {body[:60]!r}"
        ) from error


def _check_items(items: Any, count: Any, expect: Expectation) -> None:
    """Raises: _Wrong; anything that indexing foreign JSON raises."""
    wanted = expect.items
    if wanted is None:
        if count != len(items) or count < (expect.min_items or 0):
            raise _Wrong(
                f"count {count} with {len(items)} items, expected at least {expect.min_items}"
            )
    elif count != wanted or len(items) != wanted:
        raise _Wrong(f"count {count} with {len(items)} items, expected {wanted}")
    for item in items:
        price, quantity, told = item["price"], item["quantity"], item["total"]
        if not all(type(number) in (int, float) for number in (price, quantity, told)):
            raise _Wrong(f"item {item.get('id')}: price, quantity and total must be numbers")
        total = price * quantity * expect.multiplier
        if expect.decimals is not None:
            total = round(total, expect.decimals)
        # A comparison with NaN is false: only a difference that is small is right.
        if not abs(told - total) <= TOTAL_TOLERANCE:
            raise _Wrong(f"item {item.get('id')}: total {told}, expected {total:.2f}")


def _check_rows(items: Any, count: Any, expect: Expectation) -> None:
    """Raises: _Wrong; anything that indexing foreign JSON raises."""
    if count != len(items) or len(items) > (expect.rows or 0):
        raise _Wrong(f"count {count} with {len(items)} rows, expected at most {expect.rows}")
    for item in items:
        _check_fields(item, _ROW, item.get("id"))
        _check_fields(item["rating"], _RATING, item["id"])
        if expect.price and not expect.price[0] <= item["price"] <= expect.price[1]:
            raise _Wrong(
                f"row {item['id']}: price {item['price']}, asked for "
                f"{expect.price[0]:g} to {expect.price[1]:g}"
            )


def _check_fields(item: Any, fields: _Fields, row: Any) -> None:
    for name, kinds in fields.items():
        if type(item[name]) not in kinds:
            raise _Wrong(
                f"row {row}: {name} is {item[name]!r}, expected "
                f"{' or '.join(kind.__name__ for kind in kinds)}"
            )


def _decoded(response: Response) -> bytes:
    """The body without its content coding.

    Raises: _Wrong.
    """
    body = response.body
    if body is None:
        raise _Wrong(f"{response.body_length} bytes of body: too long to keep")
    coding = response.head.content_encoding
    try:
        if coding in ("", "identity"):
            return body
        if coding in ("gzip", "x-gzip", "deflate"):
            return _inflated(body, GZIP_BITS if coding != "deflate" else ZLIB_BITS)
        if coding == "br":
            return _unbrotlied(body)
    except (zlib.error, brotli.error) as error:
        raise _Wrong(f"body is not {coding}: {error}") from error
    raise _Wrong(f"Content-Encoding {coding!r} cannot be decoded")


def decoded(response: Response) -> bytes | None:
    """The body without its content coding, None when it cannot be decoded."""
    try:
        return _decoded(response)
    except _Wrong:
        return None


def _inflated(body: bytes, window_bits: int) -> bytes:
    # RFC 1952, 2.2: a gzip file is a series of members, one after the other.
    decoded = b""
    while True:
        decoder = zlib.decompressobj(window_bits)
        decoded += decoder.decompress(body, MAX_DECODED - len(decoded) + 1)
        if len(decoded) > MAX_DECODED or decoder.unconsumed_tail:
            raise _Wrong(f"body decodes to more than {MAX_DECODED} bytes")
        if not decoder.eof:
            raise _Wrong("the compressed body ends before its end")
        body = decoder.unused_data
        if not body or window_bits == ZLIB_BITS:
            return decoded


def _unbrotlied(body: bytes) -> bytes:
    decoder = brotli.Decompressor()
    decoded: bytes = decoder.process(body, output_buffer_limit=MAX_DECODED)
    if not decoder.is_finished():
        if len(decoded) >= MAX_DECODED:
            raise _Wrong(f"body decodes to more than {MAX_DECODED} bytes")
        raise _Wrong("the compressed body ends before its end")
    return decoded
