"""Captured outputs of drivers, and small scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diagnose.model.scenario import RequestTemplate, Scenario

FOLDER = Path(__file__).parents[2] / "data" / "drivers"
GET = RequestTemplate("get", "GET", "/pipeline")
POST = RequestTemplate("post", "POST", "/pipeline", body="20")


def output(name: str) -> str:
    """A file of tests/data/drivers."""
    return (FOLDER / name).read_text()


def scenario(*templates: RequestTemplate, **changes: Any) -> Scenario:
    """A scenario of these requests, one GET when there are none."""
    return Scenario("small", "small", "", templates or (GET,), (4,), **changes)
