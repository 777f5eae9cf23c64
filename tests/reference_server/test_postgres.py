"""/async-db: without a database, with one that is not there, and with a real one."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reference_server.dataset import Item, make_items
from reference_server.postgres import DEFAULT_MAX_CONNECTIONS, Pool, max_connections
from tests.reference_server.running_server import DEADLINE, ROOT, running

EMPTY = {"items": [], "count": 0}
START_SECONDS = 30.0
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


def programs() -> Path | None:
    """The directory of PostgreSQL's programs; Debian keeps them off PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL that this fixture started; it listens on a socket file only."""
    home = programs()
    if home is None:
        pytest.skip("PostgreSQL is not installed")
    # It refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    account = {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}
    # Not below the test's directory, which another user may not enter; and a short path, because
    # that of a socket is limited to 107 bytes.
    directory = Path(tempfile.mkdtemp())
    try:
        if account:
            shutil.chown(directory, user)
        data = directory / "data"
        subprocess.run(
            [home / "initdb", "-D", data, "-U", "test", "-A", "trust", "--no-sync"],
            cwd=directory,
            capture_output=True,
            timeout=START_SECONDS,
            check=True,
            **account,  # type: ignore[call-overload]
        )
        with (directory / "log").open("w") as log:
            server = subprocess.Popen(
                [home / "postgres", "-D", data, "-k", directory, "-c", "listen_addresses="],
                cwd=directory,
                stdout=log,
                stderr=log,
                **account,  # type: ignore[call-overload]
            )
        try:
            wait_for_postgres(home, directory)
            yield f"postgresql://test@/postgres?host={directory}"
        finally:
            server.terminate()
            server.wait(START_SECONDS)
    finally:
        shutil.rmtree(directory)


def wait_for_postgres(home: Path, directory: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run([home / "pg_isready", "-q", "-h", directory], check=False).returncode:
        assert time.monotonic() < deadline, (directory / "log").read_text()
        time.sleep(0.05)


def fill(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reference_server", "--fill-database"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return make_items(100_000)


@pytest.mark.integration
def test_table_is_filled_and_served(database: str, items: list[Item]) -> None:
    environment = {"DATABASE_URL": database, "DATABASE_MAX_CONN": str(MAX_CONNECTIONS)}
    with running("--workers", "2", environment=environment) as server:
        # The server is there before the table is: that request fails, and no worker.
        assert server.get("/async-db?min=10&max=50")[0] == 503
        assert fill(database).returncode == 0
        again = fill(database)
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
        for bad in ("min=x", "limit=-1", "max=nan"):
            assert server.get(f"/async-db?{bad}")[0] == 400
        # Both databases hold the same.
        document = json.loads(server.get("/async-db?min=20&max=21")[2])
        assert document == json.loads(server.get("/db?min=20&max=21")[2])
        assert open_connections(database) <= MAX_CONNECTIONS


@pytest.mark.integration
def test_many_requests_share_few_connections(database: str) -> None:
    fill(database)
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
        assert 1 <= open_connections(database) <= MAX_CONNECTIONS
    # Closed by the workers before they end.
    deadline = time.monotonic() + DEADLINE
    while open_connections(database):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def open_connections(url: str) -> int:
    """How many clients the database has, besides the one that asks."""
    home = programs()
    assert home is not None
    query = "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
    return int(subprocess.check_output([home / "psql", url, "-Atc", query], text=True))


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
