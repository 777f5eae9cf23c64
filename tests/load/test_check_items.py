"""Right and wrong answers in JSON: the dataset's items with their totals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.load.check import wrong
from diagnose.load.http1 import Head, Response
from diagnose.model.load import Failure
from diagnose.model.scenario import Expectation


def response(body: bytes | None = b"", status: int = 200, content_type: str = "") -> Response:
    length = len(body or b"")
    return Response(Head(status, length, False, False, content_type, ""), body, length)


def item(price: Any = 2.5, quantity: Any = 4, total: Any = 10.0) -> dict[str, Any]:
    return {"id": 1, "price": price, "quantity": quantity, "total": total}


def document(items: list[dict[str, Any]], count: Any = None) -> bytes:
    return json.dumps({"items": items, "count": len(items) if count is None else count}).encode()


ITEMS = {
    "total": (item(), {}, True),
    "total_as_integer": (item(2, 3, 6), {}, True),
    "multiplied": (item(2.5, 4, 70.0), {"multiplier": 7}, True),
    "not_multiplied": (item(2.5, 4, 10.0), {"multiplier": 7}, False),
    "multiplied_unasked": (item(2.5, 4, 70.0), {}, False),
    "rounded": (item(1.239, 3, 3.72), {"decimals": 2}, True),
    "unrounded_within_a_cent": (item(1.239, 3, 3.717), {"decimals": 2}, True),
    "rounded_down": (item(1.239, 3, 3.7), {"decimals": 2}, False),
    "a_cent_off": (item(2.5, 4, 10.01), {}, True),
    "two_cents_off": (item(2.5, 4, 10.02), {}, False),
    "two_cents_less": (item(2.5, 4, 9.98), {}, False),
    "zero": (item(2.5, 0, 0), {}, True),
    "price_instead": (item(2.5, 4, 2.5), {}, False),
    "negative": (item(2.5, 4, -10), {}, False),
    "no_total": ({"id": 1, "price": 2.5, "quantity": 4}, {}, False),
    "no_price": ({"id": 1, "quantity": 4, "total": 1}, {}, False),
    "total_as_text": (item(total="10.0"), {}, False),
    "total_null": (item(total=None), {}, False),
    "price_as_text": (item(price="2.5"), {}, False),
    "total_infinite": (item(total=float("inf")), {}, False),
    "total_nan": (item(total=float("nan")), {}, False),
    "product_infinite": (item(1e308, 1e308, float("inf")), {}, False),
    "product_infinite_rounded": (item(1e308, 1e308, float("inf")), {"decimals": 2}, False),
    "total_true": (item(1, 1, True), {}, False),
}


@pytest.mark.parametrize(("row", "options", "right"), ITEMS.values(), ids=ITEMS.keys())
def test_item_totals(row: dict[str, Any], options: dict[str, Any], right: bool) -> None:
    expect = Expectation(items=1, **options)
    problem = wrong(response(document([row])), expect, body_too=True)
    assert (problem is None) == right
    assert problem is None or problem[0] is Failure.WRONG_BODY


@pytest.mark.parametrize(
    ("count", "items", "right"),
    [(3, 3, True), (2, 3, False), (3, 2, False), (2, 2, False), (4, 4, False), ("3", 3, False)],
)
def test_count_and_number_of_items(count: Any, items: int, right: bool) -> None:
    body = document([item()] * items, count)
    problem = wrong(response(body), Expectation(items=3), body_too=True)
    assert (problem is None) == right
    if problem is not None:
        assert "expected 3" in problem[1]


def test_an_empty_range_gives_count_0() -> None:
    assert wrong(response(document([])), Expectation(items=0), body_too=True) is None
    assert wrong(response(document([item()])), Expectation(items=0), body_too=True) is not None


def test_the_last_item_is_checked_too() -> None:
    body = document([item()] * 49 + [{**item(total=11), "id": 50}])
    problem = wrong(response(body), Expectation(items=50), body_too=True)
    assert problem is not None
    assert problem[1] == "item 50: total 11, expected 10.00"


def test_items_are_not_looked_at_when_not_asked() -> None:
    assert wrong(response(b"not JSON"), Expectation(items=1), body_too=False) is None


BROKEN: dict[str, bytes | None] = {
    "not_kept": None,
    "empty": b"",
    "text": b"hello",
    "cut_off": document([item()])[:-3],
    "two_documents": document([item()]) * 2,
    "null": b"null",
    "number": b"5",
    "true": b"true",
    "string": b'"items"',
    "list": b"[]",
    "empty_object": b"{}",
    "no_count": b'{"items": []}',
    "no_items": b'{"count": 1}',
    "items_null": b'{"items": null, "count": 1}',
    "items_number": b'{"items": 1, "count": 1}',
    "items_string": b'{"items": "x", "count": 1}',
    "items_object": b'{"items": {"a": 1}, "count": 1}',
    "item_null": b'{"items": [null], "count": 1}',
    "item_number": b'{"items": [1], "count": 1}',
    "item_list": b'{"items": [[1]], "count": 1}',
    "item_empty": b'{"items": [{}], "count": 1}',
    "price_list": b'{"items": [{"price": [1], "quantity": 2, "total": 3}], "count": 1}',
    "price_object": b'{"items": [{"price": {}, "quantity": 2, "total": 3}], "count": 1}',
    "count_null": document([item()]).replace(b'"count": 1', b'"count": null'),
    "not_utf_8": b'{"items": ["\xff"], "count": 1}',
    "utf_16_cut_off": "{}".encode("utf-16")[:-1],
    "nul": b"\x00",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "number_of_5000_digits": b'{"items": [], "count": %b}' % (b"1" * 5000),
    "deeply_nested": b"[" * 100_000,
    "price_over_all_floats": document([item(price=10**400, total=1.5)]),
    "price_as_text_times_quantity": document([item("a", 10**15, 1)]),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_broken_json_is_wrong_and_never_raises(body: bytes | None) -> None:
    problem = wrong(response(body), Expectation(items=1), body_too=True)
    assert problem is not None
    assert problem[0] is Failure.WRONG_BODY
    assert len(problem[1]) < 400


LONG = {
    "count": document([item()], count="x" * 5000),
    "id": document([{**item(total=1), "id": "x" * 5000}]),
    "total": document([item(1, 1, 10**4000)]),
}


@pytest.mark.parametrize("body", LONG.values(), ids=LONG.keys())
def test_long_values_are_shown_shortened(body: bytes) -> None:
    problem = wrong(response(body), Expectation(items=1), body_too=True)
    assert problem is not None
    assert len(problem[1]) == 203
    assert problem[1].endswith("...")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-1e6, 1e6) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["items", "count", "price", "quantity", "total", "id"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=60)
@given(json_values, json_values)
def test_json_of_any_shape_never_raises(items: Any, count: Any) -> None:
    body = json.dumps({"items": items, "count": count}).encode()
    problem = wrong(response(body), Expectation(items=1), body_too=True)
    if not (isinstance(items, list) and len(items) == 1 and count == 1):
        assert problem is not None


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0.01, 1000.0), st.integers(1, 100)), max_size=5),
    st.integers(1, 9),
    st.sampled_from([None, 2]),
)
def test_any_right_document_is_right(
    rows: list[tuple[float, int]], multiplier: int, decimals: int | None
) -> None:
    totals = [price * quantity * multiplier for price, quantity in rows]
    items = [
        item(price, quantity, total if decimals is None else round(total, decimals))
        for (price, quantity), total in zip(rows, totals, strict=True)
    ]
    expect = Expectation(items=len(rows), multiplier=multiplier, decimals=decimals)
    assert wrong(response(document(items)), expect, body_too=True) is None
    if items:
        items[-1]["total"] += 0.5
        assert wrong(response(document(items)), expect, body_too=True) is not None
