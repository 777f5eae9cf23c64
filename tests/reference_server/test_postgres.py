"""/async-db: without a database, with one that comes and goes, and with a real one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from pathlib import Path

import pytest

from reference_server.dataset import Item, make_items
from reference_server.postgres import DEFAULT_MAX_CONNECTIONS, Pool, max_connections
from tests.reference_server.postgres_server import PostgresServer, fill
from tests.reference_server.running_server import running, wait_until

EMPTY = {"items": [], "count": 0}
MAX_CONNECTIONS = 6


def test_pool_without_a_database_selects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)

    async def scenario() -> int:
        pool = Pool()
        async with pool.opened(2):
            return len(await pool.select_items(10, 50, 50))

    assert asyncio.run(scenario()) == 0


def test_number_of_connections_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_MAX_CONN", raising=False)
    assert max_connections() == DEFAULT_MAX_CONNECTIONS
    monkeypatch.setenv("DATABASE_MAX_CONN", "256")
    assert max_connections() == 256
    monkeypatch.setenv("DATABASE_MAX_CONN", "many")
    with pytest.raises(ValueError, match="many"):
        max_connections()


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return make_items(100_000)


@pytest.mark.integration
def test_table_is_filled_and_served(postgres: PostgresServer, items: list[Item]) -> None:
    empty = postgres.database("empty")
    with running("--workers", "2", environment={"DATABASE_URL": empty}) as server:
        # The server is there before the table is: that request fails, and no worker.
        assert server.get("/async-db?min=10&max=50")[0] == 503
        assert fill(empty).returncode == 0
        again = fill(empty)
        assert again.returncode == 1
        assert "already exists" in again.stderr
        source = random.Random(2)
        for _ in range(20):
            low = source.randint(1, 500)
            high, limit = low + source.randint(0, 30), source.randint(0, 50)
            status, head, body = server.get(f"/async-db?min={low}&max={high}&limit={limit}")
            assert status == 200
            assert b"\r\nContent-Type: application/json" in head
            expected = [item for item in items if low <= item["price"] <= high][:limit]
            assert json.loads(body) == {"items": expected, "count": len(expected)}
        assert json.loads(server.get("/async-db?min=600&max=700&limit=5")[2]) == EMPTY
        assert json.loads(server.get("/async-db?limit=1000")[2])["count"] == 50
        # Both databases hold the same.
        document = json.loads(server.get("/async-db?min=20&max=21")[2])
        assert document == json.loads(server.get("/db?min=20&max=21")[2])


@pytest.mark.integration
@pytest.mark.parametrize(
    "query",
    [
        *("min=x", "limit=-1", "max=nan", "limit=5;", "limit=9" + "9" * 5_000),
        "min=10&max=50);DROP+TABLE+items;--",
        "min=10'+OR+'1'='1",
    ],
)
def test_what_is_no_number_is_a_bad_request(database: str, query: str) -> None:
    with running("--workers", "1", environment={"DATABASE_URL": database}) as server:
        assert server.get(f"/async-db?{query}")[0] == 400
        assert json.loads(server.get("/async-db?limit=3")[2])["count"] == 3


@pytest.mark.integration
def test_many_requests_share_few_connections(postgres: PostgresServer, database: str) -> None:
    environment = {"DATABASE_URL": database, "DATABASE_MAX_CONN": str(MAX_CONNECTIONS)}
    end = b'],"count":'
    head = b"GET /async-db?min=10&max=50&limit=%d HTTP/1.1\r\nHost: x\r\n\r\n"
    with (
        running("--workers", "2", environment=environment) as server,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(server.connect()) for _ in range(40)]
        for client in clients:
            client.sendall(b"".join(head % limit for limit in (5, 10, 20)))
        for client in clients:
            # Pipelined requests are answered in their order.
            data = b""
            while data.count(end) < 3:
                received = client.recv(65536)
                assert received
                data += received
            assert [int(each.split(b"}")[0]) for each in data.split(end)[1:]] == [5, 10, 20]
        # Connections stay open, so those that are open now are the most that there were.
        assert 1 <= postgres.clients(database) <= MAX_CONNECTIONS
    # Closed by the workers before they end.
    wait_until(lambda: postgres.clients(database) == 0)


@pytest.mark.integration
def test_database_that_was_gone_is_used_again(postgres: PostgresServer, database: str) -> None:
    environment = {"DATABASE_URL": database, "DATABASE_MAX_CONN": "2"}
    with running("--workers", "1", environment=environment) as server:
        workers = server.workers()
        assert server.get("/async-db")[0] == 200
        postgres.stop()
        try:
            assert server.get("/async-db")[0] == 503
            assert server.get("/crud/items/1")[0] == 503
            assert server.get("/baseline11?a=13&b=42")[2] == b"55"
        finally:
            postgres.start()
        status, _, body = server.get("/async-db?limit=7")
        assert (status, json.loads(body)["count"]) == (200, 7)
        assert server.workers() == workers


@pytest.mark.integration
def test_database_that_is_not_there_is_503(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": f"postgresql://test@/none?host={tmp_path}"}
    with running("--workers", "1", environment=environment) as server:
        assert server.get("/async-db?min=10&max=50")[0] == 503
        assert server.get("/baseline11?a=13&b=42")[2] == b"55"
    assert fill(environment["DATABASE_URL"]).returncode == 1


@pytest.mark.integration
def test_without_a_url_nothing_is_filled() -> None:
    found = fill("")
    assert found.returncode == 2
    assert "DATABASE_URL" in found.stderr
