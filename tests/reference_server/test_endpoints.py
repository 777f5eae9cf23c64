"""The pure parts: sums, totals, routes, and the dataset."""

from __future__ import annotations

import gzip
import json
from http import HTTPStatus
from typing import Any

import pytest

from reference_server import endpoints
from reference_server.dataset import make_items, with_whole_prices
from reference_server.endpoints import MAX_MULTIPLIER
from reference_server.messages import (
    MAX_SMALL_BODY_BYTES,
    Body,
    HttpError,
    Request,
    Response,
    SmallBody,
    error_response,
    find_route,
)


def request(query: bytes = b"", argument: bytes = b"", body: bytes | None = None) -> Request:
    kept = Body() if body is None else SmallBody()
    kept.feed(body or b"")
    return Request(b"GET", argument, query, [], kept, endpoints.pipeline)


def document(response: Response) -> Any:
    assert response.content_type == b"application/json"
    return json.loads(response.body)


@pytest.mark.parametrize(
    ("query", "total"),
    [(b"", 0), (b"a=13&b=42", 55), (b"a=-5&b=3", -2), (b"a=1&a=1", 2), (b"a=+7", 7)],
)
def test_query_values_are_summed(query: bytes, total: int) -> None:
    assert endpoints.query_sum(query) == total


@pytest.mark.parametrize("query", [b"a=x", b"a=", b"a", b"a=1_0", b"a=1&", b"a=1.5", b"a=\xff"])
def test_bad_numbers_are_bad_requests(query: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        endpoints.query_sum(query)
    assert caught.value.status == HTTPStatus.BAD_REQUEST


def test_body_is_added_to_the_query() -> None:
    assert endpoints.baseline_post(request(b"a=13&b=42", body=b"20")).body == b"75"


def test_empty_body_is_a_bad_request() -> None:
    with pytest.raises(HttpError):
        endpoints.baseline_post(request(b"a=13&b=42", body=b""))


def test_upload_answers_what_was_read() -> None:
    uploaded = request()
    uploaded.headers.append((b"Content-Length", b"999"))
    uploaded.body.feed(b"x" * 17)
    uploaded.body.feed(b"y" * 3)
    assert endpoints.upload(uploaded).body == b"20"


def test_small_body_is_kept_up_to_its_limit() -> None:
    body = SmallBody()
    body.feed(b"x" * MAX_SMALL_BODY_BYTES)
    assert len(body.content()) == MAX_SMALL_BODY_BYTES
    body.feed(b"x")
    with pytest.raises(HttpError) as caught:
        body.content()
    assert caught.value.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert body.received == MAX_SMALL_BODY_BYTES + 1


def test_json_of_march_has_fifty_items_with_rounded_totals() -> None:
    answer = document(endpoints.json_2026_03(request()))
    assert answer["count"] == len(answer["items"]) == 50
    for item in answer["items"]:
        assert item["total"] == round(item["price"] * item["quantity"], 2)


@pytest.mark.parametrize(("count", "multiplier"), [(1, 3), (5, 7), (50, 6)])
def test_json_of_april_multiplies_integers(count: int, multiplier: int) -> None:
    query = b"m=%d" % multiplier
    answer = document(endpoints.json_2026_04(request(query, b"%d" % count)))
    assert answer["count"] == len(answer["items"]) == count
    for item in answer["items"]:
        assert item["total"] == item["price"] * item["quantity"] * multiplier
        assert isinstance(item["total"], int)


def test_json_of_april_has_defaults_and_limits() -> None:
    assert document(endpoints.json_2026_04(request(argument=b"999")))["count"] == 50
    assert document(endpoints.json_2026_04(request(argument=b"0")))["items"] == []
    first = document(endpoints.json_2026_04(request(argument=b"1")))["items"][0]
    assert first["total"] == first["price"] * first["quantity"]


@pytest.mark.parametrize("multiplier", [MAX_MULTIPLIER, -MAX_MULTIPLIER, 0])
def test_largest_multiplier_still_fits(multiplier: int) -> None:
    answer = document(endpoints.json_2026_04(request(b"m=%d" % multiplier, b"50")))
    for item in answer["items"]:
        assert item["total"] == item["price"] * item["quantity"] * multiplier


def test_json_of_april_is_compressed_when_asked_for() -> None:
    asked = request(b"m=6", b"50")
    plain = endpoints.json_2026_04(asked)
    asked.headers.append((b"Accept-Encoding", b"gzip, br"))
    coded = endpoints.json_2026_04(asked)
    assert (b"Content-Encoding", b"gzip") in coded.headers
    assert gzip.decompress(coded.body) == plain.body
    assert coded.content_type == plain.content_type == b"application/json"


def test_compression_has_thousands_of_items_with_totals() -> None:
    asked = request()
    plain = document(endpoints.compression(asked))
    assert plain["count"] == len(plain["items"]) == 6_000
    for item in plain["items"]:
        assert item["total"] == round(item["price"] * item["quantity"], 2)
    asked.headers.append((b"Accept-Encoding", b"gzip"))
    coded = endpoints.compression(asked)
    assert len(coded.body) < 500_000
    assert json.loads(gzip.decompress(coded.body)) == plain


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        (b"", (10.0, 50.0, 50)),
        (b"min=1&max=2&limit=3", (1.0, 2.0, 3)),
        (b"limit=51&max=-2.5&min=1e2", (100.0, -2.5, 50)),
    ],
)
def test_price_range_has_defaults_and_limits(query: bytes, asked: tuple[float, float, int]) -> None:
    assert endpoints.price_range(query) == asked


@pytest.mark.parametrize(
    ("argument", "query"),
    [
        (b"x", b""),
        (b"-1", b""),
        (b"5", b"m=x"),
        (b"5", b"m=%d" % (MAX_MULTIPLIER + 1)),
        (b"5", b"m=-99999999999999999999"),
        (b"5", b"m=" + b"9" * 5_000),
    ],
)
def test_json_refuses_bad_numbers(argument: bytes, query: bytes) -> None:
    with pytest.raises(HttpError):
        endpoints.json_2026_04(request(query, argument))


def test_dataset_is_the_same_every_time() -> None:
    assert make_items() == make_items()
    assert make_items(seed=1) != make_items(seed=2)


def test_items_have_the_schema_of_the_contract() -> None:
    names = {"id", "name", "category", "price", "quantity", "active", "tags", "rating"}
    for item in make_items():
        assert set(item) == names
        assert isinstance(item["price"], float)
        assert item["tags"]
        assert set(item["rating"]) == {"score", "count"}
    assert all(isinstance(item["price"], int) for item in with_whole_prices(make_items()))


@pytest.mark.parametrize(
    ("method", "path", "argument"),
    [
        (b"GET", b"/pipeline", b""),
        (b"HEAD", b"/pipeline", b""),
        (b"POST", b"/upload", b""),
        (b"GET", b"/json", b""),
        (b"GET", b"/json/25", b"25"),
        (b"GET", b"/baseline2", b""),
        (b"GET", b"/compression", b""),
        (b"GET", b"/db", b""),
        (b"GET", b"/async-db", b""),
        (b"GET", b"/static/app.js", b"app.js"),
        (b"GET", b"/ws", b""),
    ],
)
def test_routes_are_found(method: bytes, path: bytes, argument: bytes) -> None:
    route, found = find_route(endpoints.ROUTES, method, path)
    assert found == argument
    assert route in [each for methods in endpoints.ROUTES.values() for each in methods.values()]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        (b"GET", b"/nowhere", HTTPStatus.NOT_FOUND),
        (b"GET", b"/json/", HTTPStatus.NOT_FOUND),
        (b"GET", b"/json/1/2", HTTPStatus.NOT_FOUND),
        (b"GET", b"", HTTPStatus.NOT_FOUND),
        (b"DELETE", b"/baseline11", HTTPStatus.METHOD_NOT_ALLOWED),
        (b"GET", b"/upload", HTTPStatus.METHOD_NOT_ALLOWED),
        (b"POST", b"/db", HTTPStatus.METHOD_NOT_ALLOWED),
        (b"PUT", b"/static/app.js", HTTPStatus.METHOD_NOT_ALLOWED),
        (b"POST", b"/baseline2", HTTPStatus.METHOD_NOT_ALLOWED),
        (b"GET", b"/db/", HTTPStatus.NOT_FOUND),
    ],
)
def test_other_routes_answer_why_not(method: bytes, path: bytes, status: HTTPStatus) -> None:
    route, _ = find_route(endpoints.ROUTES, method, path)
    with pytest.raises(HttpError) as caught:
        route.handler(request())
    assert caught.value.status == status
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        assert caught.value.headers[0][0] == b"Allow"


def test_failures_of_handlers_are_answered_500() -> None:
    assert error_response(ZeroDivisionError()).status == 500
    assert error_response(HttpError(HTTPStatus.NOT_FOUND)).status == 404
