"""The profiles of the PostgreSQL database, as a user runs them, against a real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.conftest import Diagnose, reference
from tests.reference_server.postgres_server import PostgresServer, fill

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that this module started."""
    server = PostgresServer()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> str:
    """The URL of a database with the items in it."""
    url = postgres.database("items")
    filled = fill(url)
    assert filled.returncode == 0, filled.stderr
    return url


@pytest.mark.parametrize("scenario", ["async-db", "crud"])
def test_profile_is_answered_right(
    diagnose: Diagnose, postgres: PostgresServer, database: str, scenario: str
) -> None:
    diagnose.environment |= {"DATABASE_URL": database, "DATABASE_MAX_CONN": "8"}
    # More connections than templates, so that each is sent.
    options = ("-c", "64", "-r", "5", "-d", "1", "--warmup", "0.2")
    outcome = diagnose.run(scenario, reference("--workers", "2"), *options)
    assert outcome.run["figures"]["responses"] > 0
    assert outcome.run["figures"]["errors"] == 0
    assert not outcome.found & {"errors", "wrong_answers", "crashed", "hung"}
    if scenario == "crud":
        created = postgres.query(database, "SELECT count(*) FROM items WHERE category = 'new'")
        changed = postgres.query(database, "SELECT count(*) FROM items WHERE name = 'Changed'")
        assert int(created) > 0
        assert int(changed) > 0


def test_items_of_no_database_are_wrong_answers(diagnose: Diagnose) -> None:
    diagnose.environment.pop("DATABASE_URL", None)
    options = ("-c", "64", "-d", "1", "--warmup", "0.2")
    outcome = diagnose.run("crud", reference("--workers", "1"), *options)
    assert outcome.run["figures"]["errors"] > 0
    assert outcome.found & {"errors", "wrong_answers"}
