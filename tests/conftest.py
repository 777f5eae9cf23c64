"""For all tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
import typer.testing

from diagnose.analysis import engine


@pytest.fixture(autouse=True, scope="session")
def _no_stored_selftest() -> Iterator[None]:
    """What is stored with the package changes with every selftest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "measured", lambda: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _commands_made_once() -> Iterator[None]:
    """CliRunner makes all commands anew for each call: a sixth of the time of the unit tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", cache(typer.testing._get_command))
        yield
