"""Is a response what the contract says? Status always, the body as far as it is told."""

from __future__ import annotations

import json

from diagnose.load.http1 import Response
from diagnose.model.load import Failure
from diagnose.model.scenario import Expectation

# Totals are money-like products of floats: half a unit of the last decimal that is kept.
TOTAL_TOLERANCE = 0.011


# What a server sends may be megabytes; a reader needs its beginning.
SHOWN = 200


def wrong(response: Response, expect: Expectation, body_too: bool) -> tuple[Failure, str] | None:
    """What is wrong with a response, with what was seen; None when it is right.

    body_too: compare the body as well (for exact bodies that costs nothing; for JSON it parses).
    """
    problem = _problem(response, expect, body_too)
    if problem is None:
        return None
    kind, detail = problem
    return kind, detail if len(detail) <= SHOWN else detail[:SHOWN] + "..."


def _problem(response: Response, expect: Expectation, body_too: bool) -> tuple[Failure, str] | None:
    status = response.head.status
    if expect.status:
        if status not in expect.status:
            return Failure.WRONG_STATUS, f"status {status}, expected {list(expect.status)}"
    elif not 200 <= status < 300:
        return Failure.WRONG_STATUS, f"status {status}, expected 2xx"
    if expect.content_type is not None:
        seen = response.head.content_type.partition(";")[0].strip().lower()
        if seen != expect.content_type.lower():
            return (
                Failure.WRONG_BODY,
                f"Content-Type {response.head.content_type!r}, expected {expect.content_type!r}",
            )
    if not body_too:
        return None
    return _wrong_body(response, expect)


def _wrong_body(response: Response, expect: Expectation) -> tuple[Failure, str] | None:
    if expect.body is not None:
        wanted = expect.body.encode().strip()
        if response.body is None or response.body.strip() != wanted:
            shown = (response.body or b"")[:80]
            return Failure.WRONG_BODY, f"body {shown!r}, expected {wanted!r}"
    if expect.items is not None:
        problem = _wrong_items(response.body, expect)
        if problem:
            return Failure.WRONG_BODY, problem
    return None


def _wrong_items(body: bytes | None, expect: Expectation) -> str:
    """What is wrong with `{"items": [...], "count": n}`; '' when it is right."""
    if body is None:
        return "JSON body too long to keep"
    try:
        document = json.loads(body)
        items = document["items"]
        count = document["count"]
        if count != expect.items or len(items) != expect.items:
            return f"count {count} with {len(items)} items, expected {expect.items}"
        for item in items:
            price, quantity, told = item["price"], item["quantity"], item["total"]
            if not all(type(number) in (int, float) for number in (price, quantity, told)):
                return f"item {item.get('id')}: price, quantity and total must be numbers"
            total = price * quantity * expect.multiplier
            if expect.decimals is not None:
                total = round(total, expect.decimals)
            # A comparison with NaN is false: only a difference that is small is right.
            if not abs(told - total) <= TOTAL_TOLERANCE:
                return f"item {item.get('id')}: total {told}, expected {total:.2f}"
    except (
        *(ValueError, KeyError, TypeError, AttributeError, IndexError),
        *(ArithmeticError, RecursionError),
    ) as error:
        return f"not the JSON of the contract ({type(error).__name__}: {error}): {body[:60]!r}"
    return ""
