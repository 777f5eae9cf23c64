"""The TOML form of a scenario, checked key by key."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import msgspec

from diagnose.errors import UsageError
from diagnose.model.scenario import RequestTemplate, Scenario


class _ExpectTable(msgspec.Struct, forbid_unknown_fields=True):
    status: list[int] = []
    body: str | None = None
    content_type: str | None = None
    items: int | None = None
    multiplier: int = 1
    decimals: int | None = None


class _RequestTable(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    target: str
    method: str = "GET"
    headers: dict[str, str] = {}
    body: str | None = None
    body_length: int = 0
    chunked: bool = False
    expect: _ExpectTable = msgspec.field(default_factory=_ExpectTable)


class _ScenarioTable(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    connections: list[int]
    request: list[_RequestTable]
    round: str = ""
    pipeline: int = 1
    requests_per_connection: int = 0
    warmup_s: float = 1.5
    duration_s: float = 5.0
    timeout_s: float = 10.0


def parse_scenario(text: str, name: str) -> Scenario:
    """The scenario that a TOML text describes.

    `$LENGTH` in an expected body stands for the length of the request's body.

    Raises: UsageError naming the key and what is wrong with it.
    """
    try:
        table: dict[str, Any] = tomllib.loads(text)
        parsed = msgspec.convert(table, _ScenarioTable)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"scenario {name!r} is not valid: {error}") from error
    for what, wrong in (
        ("connections must name at least one positive count", not parsed.connections),
        ("connections must be positive", any(count < 1 for count in parsed.connections)),
        ("[[request]] must stand there at least once", not parsed.request),
        ("pipeline must be at least 1", parsed.pipeline < 1),
        ("requests_per_connection must not be negative", parsed.requests_per_connection < 0),
        ("duration_s must be positive", parsed.duration_s <= 0),
        ("timeout_s must be positive", parsed.timeout_s <= 0),
        ("warmup_s must not be negative", parsed.warmup_s < 0),
    ):
        if wrong:
            raise UsageError(f"scenario {name!r} is not valid: {what}")
    return Scenario(
        name=name,
        title=parsed.title,
        round=parsed.round,
        templates=tuple(_template(table, name) for table in parsed.request),
        connections=tuple(parsed.connections),
        pipeline=parsed.pipeline,
        requests_per_connection=parsed.requests_per_connection,
        warmup_s=parsed.warmup_s,
        duration_s=parsed.duration_s,
        timeout_s=parsed.timeout_s,
    )


def _template(table: _RequestTable, scenario: str) -> RequestTemplate:
    if not table.target.startswith("/"):
        raise UsageError(
            f"scenario {scenario!r}, request {table.name!r}: target {table.target!r} must start "
            "with '/'"
        )
    if table.body is not None and table.body_length:
        raise UsageError(
            f"scenario {scenario!r}, request {table.name!r}: give body or body_length, not both"
        )
    if any(
        character in text
        for text in (table.method, table.target, *table.headers, *table.headers.values())
        for character in "\r\n"
    ):
        raise UsageError(
            f"scenario {scenario!r}, request {table.name!r}: a line break in the request head"
        )
    template = RequestTemplate(
        name=table.name,
        method=table.method,
        target=table.target,
        headers=tuple(table.headers.items()),
        body=table.body,
        body_length=table.body_length,
        chunked=table.chunked,
    )
    body = table.expect.body
    if body is not None:
        body = body.replace("$LENGTH", str(template.payload_length))
    expect = replace(
        template.expect,
        status=tuple(table.expect.status),
        body=body,
        content_type=table.expect.content_type,
        items=table.expect.items,
        multiplier=table.expect.multiplier,
        decimals=table.expect.decimals,
    )
    return replace(template, expect=expect)
