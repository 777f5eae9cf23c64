"""/crud: its cache with a clock of the test's own; then the whole of it with a real database."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Iterator, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus

import pytest

from reference_server import crud, endpoints
from reference_server.crud import CACHE_SECONDS, CREATE, ONE, PAGE, UPDATE, Cache
from reference_server.database import Row, row_of
from reference_server.dataset import Item, make_items
from reference_server.messages import Body, HttpError, Request, Response, SmallBody
from tests.reference_server.postgres_server import PostgresServer
from tests.reference_server.running_server import Server, running

ITEMS = make_items(20)


class FakePool:
    """Answers each query with the rows that a test has put there, and keeps what was asked."""

    def __init__(self) -> None:
        self.rows: dict[str, Sequence[Row]] = {}
        self.asked: list[tuple[str, tuple[object, ...]]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def fetch(self, query: str, *arguments: object) -> Sequence[Row]:
        self.asked.append((query, arguments))
        rows = self.rows.get(query, ())
        await self.may_answer.wait()
        return rows


class Clock:
    """The seconds that a test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    made = FakePool()
    monkeypatch.setattr(crud, "POOL", made)
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(crud, "CACHE", Cache(clock=made))
    return made


def ask(
    handler: Any, query: bytes = b"", argument: bytes = b"", body: bytes | None = None
) -> Response:
    kept = Body() if body is None else SmallBody()
    kept.feed(body or b"")

    async def answer() -> Response:
        found: Response | Awaitable[Response] = handler(
            Request(b"GET", argument, query, [], kept, handler)
        )
        return found if isinstance(found, Response) else await found

    return asyncio.run(answer())


def refusal(handler: Any, **request: Any) -> HTTPStatus:
    with pytest.raises(HttpError) as caught:
        ask(handler, **request)
    return caught.value.status


def document(response: Response) -> Any:
    assert response.content_type == b"application/json"
    return json.loads(response.body)


def cached(response: Response) -> bytes:
    return dict(response.headers)[b"X-Cache"]


def test_item_is_read_once_until_it_is_too_old(pool: FakePool, clock: Clock) -> None:
    pool.rows[ONE] = [row_of(ITEMS[6])]
    seen = []
    for seconds in (0.0, CACHE_SECONDS * 0.9, CACHE_SECONDS * 0.2, CACHE_SECONDS * 0.9):
        clock.now += seconds
        response = ask(endpoints.crud_item, argument=b"7")
        assert document(response) == ITEMS[6]
        seen.append(cached(response))
    assert seen == [b"MISS", b"HIT", b"MISS", b"HIT"]
    assert pool.asked == [(ONE, (7,)), (ONE, (7,))]


@pytest.mark.parametrize(
    ("query", "handler", "body"),
    [
        (UPDATE, endpoints.crud_update, b"{}"),
        (
            CREATE,
            endpoints.crud_create,
            b'{"id":7,"name":"a","category":"b","price":1,"quantity":2}',
        ),
    ],
)
def test_write_drops_the_item_from_the_cache(
    pool: FakePool, clock: Clock, query: str, handler: Any, body: bytes
) -> None:
    pool.rows = {ONE: [row_of(ITEMS[6])], query: [row_of(ITEMS[7])]}
    assert cached(ask(endpoints.crud_item, argument=b"7")) == b"MISS"
    assert document(ask(handler, argument=b"7", body=body)) == ITEMS[7]
    pool.rows[ONE] = [row_of(ITEMS[7])]
    after = ask(endpoints.crud_item, argument=b"7")
    assert (cached(after), document(after)) == (b"MISS", ITEMS[7])


def test_read_that_an_update_overtook_is_not_kept(pool: FakePool, clock: Clock) -> None:
    async def overtaken() -> tuple[Response, Response]:
        pool.may_answer.clear()
        pool.rows = {ONE: [row_of(ITEMS[6])], UPDATE: [row_of(ITEMS[7])]}
        before = asyncio.ensure_future(crud.read(7))  # type: ignore[arg-type]
        await asyncio.sleep(0)  # It has asked the database, which has not answered yet.
        assert pool.asked == [(ONE, (7,))]
        old, pool.may_answer = pool.may_answer, asyncio.Event()
        pool.may_answer.set()
        await crud.update(7, b"{}")
        old.set()
        pool.rows[ONE] = [row_of(ITEMS[7])]
        after = await crud.read(7)  # type: ignore[misc]
        return await before, after

    before, after = asyncio.run(overtaken())
    assert document(before) == ITEMS[6]
    assert (cached(after), document(after)) == (b"MISS", ITEMS[7])
    assert document(ask(endpoints.crud_item, argument=b"7")) == ITEMS[7]


def test_cache_never_holds_more_than_its_size() -> None:
    clock = Clock()
    cache = Cache(size=3, clock=clock)
    for number in range(10):
        cache.fill(cache.entry(number), (number,))
    assert list(cache.entries) == [7, 8, 9]
    assert cache.fresh(cache.entry(8))
    assert not cache.fresh(cache.entry(1))
    assert list(cache.entries) == [8, 9, 1]


def test_unknown_item_is_404_and_takes_no_place(pool: FakePool, clock: Clock) -> None:
    assert refusal(endpoints.crud_item, argument=b"7") == HTTPStatus.NOT_FOUND
    assert not crud.CACHE.entries
    assert refusal(endpoints.crud_update, argument=b"7", body=b"{}") == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        (b"category=toys", ("toys", 10, 0)),
        (b"category=toys&page=3&limit=20", ("toys", 20, 40)),
        (b"limit=999&category=toys&page=1", ("toys", 50, 0)),
        (b"category=a+b%26c%C3%A9", ("a b&cé", 10, 0)),
        (b"category=%27%3B+DROP+TABLE+items%3B--", ("'; DROP TABLE items;--", 10, 0)),
        (b"category=%FF", ("\N{REPLACEMENT CHARACTER}", 10, 0)),
        (b"category=", ("", 10, 0)),
    ],
)
def test_page_is_asked_for(pool: FakePool, query: bytes, arguments: tuple[object, ...]) -> None:
    pool.rows[PAGE] = [(2, *row_of(ITEMS[0])), (2, *row_of(ITEMS[1]))]
    found = document(ask(endpoints.crud_page, query))
    assert (found["items"], found["total"]) == (ITEMS[:2], 2)
    assert found["limit"] == arguments[1]
    assert pool.asked == [(PAGE, arguments)]


def test_page_past_the_end_has_a_total(pool: FakePool) -> None:
    pool.rows[PAGE] = [(17, *[None] * 9)]
    found = document(ask(endpoints.crud_page, b"category=toys&page=9"))
    assert found == {"items": [], "total": 17, "page": 9, "limit": 10}


@pytest.mark.parametrize(
    "query",
    [
        *(b"", b"page=1", b"category=toys&page=0", b"category=toys&page=-1"),
        *(b"category=toys&page=1000001", b"category=toys&page=x", b"category=toys&limit=0"),
        *(
            b"category=toys&limit=1.5",
            b"category=toys&limit=",
            b"category=toys&page=" + b"9" * 5000,
        ),
    ],
)
def test_bad_pages_are_bad_requests(pool: FakePool, query: bytes) -> None:
    assert refusal(endpoints.crud_page, query=query) == HTTPStatus.BAD_REQUEST
    assert pool.asked == []


NEW = {"id": 7, "name": "lamp", "category": "garden", "price": 12.5, "quantity": 3}
WRONG: tuple[dict[str, object], ...] = (
    {"name": 5},
    {"category": None},
    {"price": "12"},
    {"price": float("nan")},
    {"quantity": 1.5},
    {"active": 1},
    {"tags": "new"},
    {"tags": [1]},
    {"rating": {"score": 1.0}},
    {"rating": []},
)
BAD_BODIES = [
    *(b"", b"{", b"[]", b"null", b"\xff", b"[" * 50_000),
    *(json.dumps({**NEW, **change}).encode() for change in WRONG),
]


@pytest.mark.parametrize("body", BAD_BODIES)
def test_bad_bodies_are_bad_requests(pool: FakePool, body: bytes) -> None:
    assert refusal(endpoints.crud_create, body=body) == HTTPStatus.BAD_REQUEST
    assert refusal(endpoints.crud_update, argument=b"7", body=body) == HTTPStatus.BAD_REQUEST
    assert pool.asked == []


@pytest.mark.parametrize("name", NEW)
def test_new_item_needs_its_fields(pool: FakePool, name: str) -> None:
    body = json.dumps({key: value for key, value in NEW.items() if key != name}).encode()
    assert refusal(endpoints.crud_create, body=body) == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("argument", [b"x", b"1.5", b"1_0", b"%31", b"9" * 5000])
def test_bad_numbers_of_items_are_bad_requests(pool: FakePool, argument: bytes) -> None:
    assert refusal(endpoints.crud_item, argument=argument) == HTTPStatus.BAD_REQUEST
    assert refusal(endpoints.crud_update, argument=argument, body=b"{}") == HTTPStatus.BAD_REQUEST


def test_new_item_has_defaults(pool: FakePool, clock: Clock) -> None:
    pool.rows[CREATE] = [row_of(ITEMS[0])]
    response = ask(endpoints.crud_create, body=json.dumps(NEW).encode())
    assert response.status == HTTPStatus.CREATED
    assert (b"Location", b"/crud/items/7") in response.headers
    assert pool.asked == [(CREATE, (7, "lamp", "garden", 12.5, 3, True, "[]", 0.0, 0))]


def test_update_leaves_what_it_does_not_name(pool: FakePool, clock: Clock) -> None:
    pool.rows[UPDATE] = [row_of(ITEMS[0])]
    for body in (b"{}", b'{"price": 2, "tags": ["a"], "rating": {"score": 1, "count": 2}, "x": 0}'):
        assert ask(endpoints.crud_update, argument=b"1", body=body).status == HTTPStatus.OK
    assert [arguments for _, arguments in pool.asked] == [
        (1, *[None] * 8),
        (1, None, None, 2.0, None, None, '["a"]', 1.0, 2),
    ]


def test_without_a_database_there_are_no_items(clock: Clock) -> None:
    found = document(ask(endpoints.crud_page, b"category=toys"))
    assert found == {"items": [], "total": 0, "page": 1, "limit": 10}
    assert refusal(endpoints.crud_item, argument=b"1") == HTTPStatus.NOT_FOUND
    assert refusal(endpoints.crud_update, argument=b"1", body=b"{}") == HTTPStatus.NOT_FOUND
    # To say that an item was made would be untrue.
    new = json.dumps(NEW).encode()
    assert refusal(endpoints.crud_create, body=new) == HTTPStatus.SERVICE_UNAVAILABLE


# ------------------------------------------------------------------------ with a real database


@pytest.fixture
def server(database: str) -> Iterator[Server]:
    # One worker: the cache of another one would not know of a change yet.
    with running("--workers", "1", environment={"DATABASE_URL": database}) as started:
        yield started


def send(server: Server, method: str, target: str, content: object) -> tuple[int, Any]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    status, _, answer = server.request(head.encode() + body)
    return status, json.loads(answer) if status < 300 else answer


def get_item(server: Server, number: int) -> tuple[str, Any]:
    status, head, body = server.get(f"/crud/items/{number}")
    assert status == 200
    assert b"\r\nContent-Type: application/json" in head
    (state,) = [line[9:] for line in head.decode().split("\r\n") if line.startswith("X-Cache: ")]
    return state, json.loads(body)


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return make_items(100_000)


@pytest.mark.integration
def test_item_comes_from_the_cache_for_a_while(server: Server, items: list[Item]) -> None:
    assert get_item(server, 77) == ("MISS", items[76])
    deadline = time.monotonic() + 30
    states: list[str] = []
    while "HIT" not in states or states[-1] == "HIT":
        assert time.monotonic() < deadline, states
        state, item = get_item(server, 77)
        assert item == items[76]
        states.append(state)
    assert server.get("/crud/items/100001")[0] == 404
    assert server.get(f"/crud/items/{2**62}")[0] == 404
    assert server.get(f"/crud/items/{2**64}")[0] == 400


@pytest.mark.integration
def test_update_is_seen_by_the_next_read(server: Server, items: list[Item]) -> None:
    get_item(server, 78)
    for price in (1.5, 2.5, 3.5):
        status, answer = send(server, "PUT", "/crud/items/78", {"price": price, "tags": ["a'b"]})
        expected = {**items[77], "price": price, "tags": ["a'b"]}
        assert (status, answer) == (200, expected)
        assert get_item(server, 78) == ("MISS", expected)
    assert send(server, "PUT", "/crud/items/100001", {"price": 1.0})[0] == 404


@pytest.mark.integration
def test_created_item_is_there_and_replaced(server: Server) -> None:
    new = {**NEW, "id": 200_000, "category": "test", "active": False}
    expected = {**new, "tags": [], "rating": {"score": 0.0, "count": 0}}
    assert server.get("/crud/items/200000")[0] == 404
    assert send(server, "POST", "/crud/items", new) == (201, expected)
    assert get_item(server, 200_000) == ("MISS", expected)
    again = {**expected, "quantity": 4, "tags": ["new"], "rating": {"score": 4.5, "count": 1}}
    assert send(server, "POST", "/crud/items", again) == (201, again)
    assert get_item(server, 200_000) == ("MISS", again)
    found = json.loads(server.get("/crud/items?category=test")[2])
    assert found == {"items": [again], "total": 1, "page": 1, "limit": 10}


@pytest.mark.integration
def test_pages_hold_the_items_of_a_category(server: Server, items: list[Item]) -> None:
    garden = [item for item in items if item["category"] == "garden"]
    for page, limit in ((1, 10), (2, 10), (7, 50), (len(garden) // 50 + 1, 50), (999_999, 5)):
        target = f"/crud/items?category=garden&page={page}&limit={limit}"
        status, head, body = server.get(target)
        assert status == 200
        assert b"\r\nContent-Type: application/json" in head
        assert json.loads(body) == {
            "items": garden[(page - 1) * limit : page * limit],
            "total": len(garden),
            "page": page,
            "limit": limit,
        }
    found = json.loads(server.get("/crud/items?category=nothing")[2])
    assert found == {"items": [], "total": 0, "page": 1, "limit": 10}


INJECTIONS = ("'; DROP TABLE items; --", "x' OR '1'='1", '"; $1 \\', "$$; SELECT 1; $$", "%s {}")


@pytest.mark.integration
@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_in_a_text_is_a_text(
    server: Server, postgres: PostgresServer, database: str, text: str
) -> None:
    number = 300_000 + INJECTIONS.index(text)
    new = {**NEW, "id": number, "name": text, "category": text, "tags": [text]}
    assert send(server, "POST", "/crud/items", new)[0] == 201
    assert send(server, "PUT", f"/crud/items/{number}", {"name": f"{text}!"})[0] == 200
    found = json.loads(server.get(f"/crud/items?category={quote_plus(text)}")[2])
    assert found["total"] == 1
    assert found["items"][0]["name"] == f"{text}!"
    assert found["items"][0]["tags"] == [text]
    assert server.get(f"/crud/items/{quote_plus(text)}")[0] in (400, 404)
    assert int(postgres.query(database, "SELECT count(*) FROM items")) >= 100_000


@pytest.mark.integration
def test_what_the_columns_cannot_hold_is_a_bad_request(server: Server) -> None:
    for change in ({"id": 2**31}, {"quantity": 2**40}, {"name": "a\0b"}, {"tags": ["\0"]}):
        assert send(server, "POST", "/crud/items", {**NEW, "id": 400_000, **change})[0] == 400
    assert send(server, "PUT", "/crud/items/79", {"quantity": -(2**31) - 1})[0] == 400
    assert send(server, "PUT", "/crud/items/79", b'{"name": "\\ud800"}')[0] == 400
    assert send(server, "POST", "/crud/items", b'{"name": "' + b"x" * 70_000 + b'"}')[0] == 413
    assert server.get("/crud/items?category=%00")[0] == 400
    assert get_item(server, 79)[1]["id"] == 79
