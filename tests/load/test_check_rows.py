"""Right and wrong database rows, and lists of at least so many items."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.load.check import wrong
from diagnose.load.http1 import Head, Response
from diagnose.model.load import Failure
from diagnose.model.scenario import Expectation

ROW: dict[str, Any] = {
    "id": 7,
    "name": "Lamp",
    "category": "home",
    "price": 19.5,
    "quantity": 3,
    "active": True,
    "tags": ["a", "b"],
    "rating": {"score": 4.5, "count": 12},
}
EXPECT = Expectation(rows=3, price=(10.0, 50.0))


def said(document: Any, expect: Expectation = EXPECT) -> str:
    """What is wrong with a JSON body; '' when it is right."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    response = Response(Head(200, len(body), False, False, "", ""), body, len(body))
    problem = wrong(response, expect, body_too=True)
    if problem is None:
        return ""
    assert problem[0] is Failure.WRONG_BODY
    return problem[1]


def rows(*changed: dict[str, Any], count: Any = None) -> dict[str, Any]:
    return {
        "items": [{**ROW, **change} for change in changed],
        "count": len(changed) if count is None else count,
    }


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_at_most_so_many(count: int) -> None:
    """An empty range of prices has no rows, and that is right."""
    assert said(rows(*[{}] * count)) == ""


def test_too_many() -> None:
    assert said(rows({}, {}, {}, {})) == "count 4 with 4 rows, expected at most 3"


@pytest.mark.parametrize("count", [0, 1, 3, "2", None, 2.5])
def test_a_count_that_is_not_theirs(count: Any) -> None:
    document = {**rows({}, {}), "count": count}
    assert said(document).startswith(f"count {count} with 2 rows")


@pytest.mark.parametrize("price", [10, 10.0, 50, 49.99])
def test_prices_in_the_range(price: float) -> None:
    assert said(rows({"price": price})) == ""


@pytest.mark.parametrize("price", [9.99, 50.01, -20, float("nan"), float("inf")])
def test_prices_outside(price: float) -> None:
    assert said(rows({}, {"price": price, "id": 9})) == (
        f"row 9: price {price}, asked for 10 to 50"
    )
    assert said(rows({"price": price}), Expectation(rows=3)) == ""


WRONG_FIELDS = {
    "id_text": {"id": "7"},
    "id_bool": {"id": True},
    "id_fraction": {"id": 7.5},
    "name_number": {"name": 5},
    "category_null": {"category": None},
    "price_text": {"price": "19.5"},
    "price_bool": {"price": True},
    "quantity_fraction": {"quantity": 3.5},
    "active_number": {"active": 1},
    "active_text": {"active": "true"},
    "tags_text": {"tags": '["a", "b"]'},
    "tags_object": {"tags": {}},
    "rating_flat": {"rating": 4.5},
    "rating_text": {"rating": "{}"},
    "rating_list": {"rating": []},
    "rating_score_text": {"rating": {"score": "4.5", "count": 12}},
    "rating_count_fraction": {"rating": {"score": 4.5, "count": 1.5}},
    "rating_count_bool": {"rating": {"score": 4.5, "count": False}},
}


@pytest.mark.parametrize("change", WRONG_FIELDS.values(), ids=WRONG_FIELDS.keys())
def test_fields_of_the_wrong_kind(change: dict[str, Any]) -> None:
    text = said(rows({}, change))
    assert re.fullmatch(r"row .*: \w+ is .*, expected [\w ]+", text)


def test_a_wrong_rating_names_its_row() -> None:
    text = said(rows({"id": 1}, {"id": 2, "rating": {"score": "4.5", "count": 12}}))
    assert text.startswith("row 2: ")


@pytest.mark.parametrize("name", ROW)
def test_a_field_that_is_missing(name: str) -> None:
    short = {key: value for key, value in ROW.items() if key != name}
    assert repr(name) in said({"items": [short], "count": 1})


@pytest.mark.parametrize("name", ["score", "count"])
def test_a_part_of_the_rating_that_is_missing(name: str) -> None:
    rating = {key: value for key, value in ROW["rating"].items() if key != name}
    assert repr(name) in said(rows({"rating": rating}))


def test_fields_beside_them_are_nobodys_business() -> None:
    assert said({**rows({"more": 1, "rating": {**ROW["rating"], "x": None}}), "total": 5}) == ""


BROKEN: dict[str, Any] = {
    "empty": b"",
    "text": b"hello",
    "cut_off": json.dumps(rows({})).encode()[:-2],
    "list": [],
    "null": None,
    "no_items": {"count": 0},
    "no_count": {"items": []},
    "items_null": {"items": None, "count": 0},
    "items_number": {"items": 0, "count": 0},
    "items_object": {"items": {"a": 1}, "count": 1},
    "items_empty_object": {"items": {}, "count": 0},
    "items_empty_text": {"items": "", "count": 0},
    "row_null": {"items": [None], "count": 1},
    "row_list": {"items": [[1]], "count": 1},
    "row_text": {"items": ["x"], "count": 1},
}


@pytest.mark.parametrize("document", BROKEN.values(), ids=BROKEN.keys())
def test_broken_documents_are_wrong_and_never_raise(document: Any) -> None:
    assert said(document)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*ROW, "items", "score"]), inner, max_size=8)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=80)
@given(json_values, json_values)
def test_json_of_any_shape_never_raises(items: Any, count: Any) -> None:
    text = said({"items": items, "count": count})
    assert text or (isinstance(items, list | dict | str) and count == len(items))


# -- at least so many items ----------------------------------------------------------------------

ITEM = {"id": 1, "price": 2.5, "quantity": 4, "total": 10.0}


@pytest.mark.parametrize(("count", "right"), [(0, False), (2, False), (3, True), (300, True)])
def test_at_least_so_many_items(count: int, right: bool) -> None:
    text = said({"items": [ITEM] * count, "count": count}, Expectation(min_items=3))
    assert (text == "") == right
    if not right:
        assert text == f"count {count} with {count} items, expected at least 3"


def test_the_count_of_at_least_so_many_is_theirs() -> None:
    assert said({"items": [ITEM] * 4, "count": 5}, Expectation(min_items=3)).startswith("count 5")


def test_the_totals_of_at_least_so_many() -> None:
    items = [ITEM, {**ITEM, "id": 2, "total": 9}]
    text = said({"items": items, "count": 2}, Expectation(min_items=1))
    assert text == "item 2: total 9, expected 10.00"
