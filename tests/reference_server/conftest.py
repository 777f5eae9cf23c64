"""One PostgreSQL for all tests of a process, started when the first of them wants it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reference_server.postgres_server import PostgresServer, fill


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server, which holds no table."""
    server = PostgresServer()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def database(postgres: PostgresServer, request: pytest.FixtureRequest) -> str:
    """The URL of a database of the module's own, with the items in it."""
    url = postgres.database(request.module.__name__.rpartition(".")[2])
    filled = fill(url)
    assert filled.returncode == 0, filled.stderr
    return url
