"""The SQLite database: its rows, what a range selects, and the answer to it."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest

from reference_server import endpoints
from reference_server.database import connect, items_document, make_database, row_of, select_items
from reference_server.dataset import make_items
from reference_server.messages import Body, HttpError, Request, Response

ROWS = 2_000


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    # A name that means something else in a URI must still be this file.
    path = tmp_path_factory.mktemp("data") / "items?mode=memory#.db"
    make_database(path, ROWS)
    opened = connect(path)
    yield opened
    opened.close()


@pytest.fixture
def answer(connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The document that /db answers a query with."""
    monkeypatch.setattr(endpoints, "worker_connection", lambda: connection)

    def ask(query: bytes) -> Any:
        response = endpoints.database(Request(b"GET", b"", query, [], Body(), endpoints.database))
        assert isinstance(response, Response)
        assert response.content_type == b"application/json"
        return json.loads(response.body)

    return ask


def test_rows_are_the_items_of_the_seed(connection: sqlite3.Connection) -> None:
    rows = select_items(connection, 0, 1e9, ROWS + 1)
    assert [tuple(row) for row in rows] == [row_of(item) for item in make_items(ROWS)]


def test_every_range_selects_what_lies_in_it(answer: Any) -> None:
    items = {item["id"]: item for item in make_items(ROWS)}
    source = random.Random(1)
    for _ in range(50):
        low = source.randint(0, 500)
        high = low + source.randint(0, 40)
        limit = source.randint(0, 50)
        expected = [item for item in items.values() if low <= item["price"] <= high][:limit]
        found = answer(b"min=%d&max=%d&limit=%d" % (low, high, limit))
        assert found == {"items": expected, "count": len(expected)}


def test_types_are_those_of_the_contract(answer: Any) -> None:
    for item in answer(b"min=10&max=50")["items"]:
        assert list(item) == [
            *("id", "name", "category", "price", "quantity", "active", "tags", "rating")
        ]
        assert isinstance(item["active"], bool)
        assert all(isinstance(tag, str) for tag in item["tags"])
        assert set(item["rating"]) == {"score", "count"}
        assert 10 <= item["price"] <= 50


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (b"", 50),
        (b"min=10&max=50", 50),
        (b"min=10.5&max=10.5e2", 50),
        (b"min=1&max=500&limit=1000", 50),
        (b"min=1&max=500&limit=7", 7),
        (b"min=1&max=500&limit=0", 0),
        (b"min=600&max=700", 0),
        (b"min=50&max=10", 0),
        (b"min=-5&max=0.99", 0),
        (b"min=1e300&max=1e301", 0),
    ],
)
def test_number_of_rows_is_bounded(answer: Any, query: bytes, count: int) -> None:
    found = answer(query)
    assert found["count"] == len(found["items"]) == count


@pytest.mark.parametrize(
    "query",
    [
        *(b"min=x", b"max=", b"min=nan", b"max=inf", b"max=1e999", b"min=1_0", b"min=0x10"),
        *(b"limit=-1", b"limit=1.5", b"limit=x", b"min=\xff", b"max=1%30"),
    ],
)
def test_bad_numbers_are_bad_requests(answer: Any, query: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        answer(query)
    assert caught.value.status == HTTPStatus.BAD_REQUEST


def test_price_has_no_index(connection: sqlite3.Connection) -> None:
    plan = connection.execute("EXPLAIN QUERY PLAN SELECT * FROM items WHERE price BETWEEN 1 AND 2")
    assert [row[3] for row in plan] == ["SCAN items"]


def test_database_cannot_be_written(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM items")


def test_tags_of_either_database_are_json() -> None:
    # PostgreSQL writes JSON with spaces; its booleans are booleans, those of SQLite integers.
    row = (1, "a", "b", 1.5, 2, True, '["x", "y"]', 4.5, 6)
    assert json.loads(items_document([row])) == {
        "items": [
            {
                "id": 1,
                "name": "a",
                "category": "b",
                "price": 1.5,
                "quantity": 2,
                "active": True,
                "tags": ["x", "y"],
                "rating": {"score": 4.5, "count": 6},
            }
        ],
        "count": 1,
    }
