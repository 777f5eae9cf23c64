"""Engines for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from diagnose.load import opening, sending
from diagnose.model.scenario import RequestTemplate
from tests.load.rig import Build, Rig, SocketModule, make_plan


@pytest.fixture(name="build")
def build_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Connected rigs, closed in the end."""
    rigs: list[Rig] = []

    def build(*templates: RequestTemplate, connect: bool = True, **options: Any) -> Rig:
        rig = Rig(make_plan(*templates, **options))
        rigs.append(rig)
        # Of several rigs in one test it is the last one that opens connections.
        for module in (opening, sending):
            monkeypatch.setattr(module, "socket", SocketModule(rig.open))
        if connect:
            assert rig.engine.connect() == len(rig.engine.connections)
        return rig

    yield build
    for rig in rigs:
        rig.close()
