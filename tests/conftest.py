"""For all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from diagnose.analysis import engine


@pytest.fixture(autouse=True, scope="session")
def _no_stored_selftest() -> Iterator[None]:
    """What is stored with the package changes with every selftest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "measured", lambda: None)
        yield
