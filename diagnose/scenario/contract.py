"""What the benchmark's endpoints must answer, for requests that come without an expectation."""

from __future__ import annotations

import re

from diagnose.model.scenario import Answer, Expectation

_JSON_COUNT = re.compile(r"/json/(\d+)\Z")
_MULTIPLIER = re.compile(r"(?:\A|&)m=(\d+)(?:&|\Z)")


def expectation(method: str, target: str, body_length: int) -> Expectation:
    """The expectation of the contract for a request, any 2xx where it says nothing.

    body_length: bytes of the request body without transfer coding.

    Source: the endpoint table of the HttpArena benchmark, rounds of March and April 2026; for
    /crud our reading of it (docs/reference-server.md).
    """
    path, _, query = target.partition("?")
    if path in ("/baseline11", "/baseline2"):
        return Expectation(sum=True, content_type="text/plain")
    if path == "/pipeline":
        return Expectation(body="ok", content_type="text/plain")
    if path == "/upload" and method == "POST":
        return Expectation(body=str(body_length))
    if path == "/crud/items" and method == "POST":
        return Expectation(status=(201,))
    if path == "/crud/items" or path.startswith("/crud/items/"):
        return Expectation(content_type="application/json" if method == "GET" else None)
    if path == "/json":
        return Expectation(content_type="application/json", items=50, decimals=2)
    if match := _JSON_COUNT.match(path):
        multiplier = _MULTIPLIER.search(query)
        return Expectation(
            content_type="application/json",
            items=int(match[1]),
            multiplier=int(multiplier[1]) if multiplier else 1,
        )
    return Expectation()


def anything() -> Expectation:
    """Whatever comes is right."""
    return Expectation(answer=Answer.ANY)
