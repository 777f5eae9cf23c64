"""The TOML form of a scenario, checked key by key."""

from __future__ import annotations

import math
import re
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


_KNOWN = (
    f"Known: {', '.join(_ScenarioTable.__struct_fields__)}; "
    f"in [[request]]: {', '.join(_RequestTable.__struct_fields__)}; "
    f"in expect: {', '.join(_ExpectTable.__struct_fields__)}"
)


def parse_scenario(text: str, name: str) -> Scenario:
    """The scenario that a TOML text describes.

    `$LENGTH` in an expected body stands for the length of the request's body.

    Raises: UsageError naming the key and what is wrong with it.
    """
    try:
        table: dict[str, Any] = tomllib.loads(text)
        parsed = msgspec.convert(table, _ScenarioTable)
    except (ValueError, RecursionError) as error:
        hint = f" {_KNOWN}" if "unknown field" in str(error) else ""
        raise UsageError(f"scenario {name!r} is not valid: {error}.{hint}") from error
    for what, wrong in (
        ("connections must name at least one positive count", not parsed.connections),
        ("connections must be positive", any(count < 1 for count in parsed.connections)),
        ("[[request]] must stand there at least once", not parsed.request),
        ("pipeline must be at least 1", parsed.pipeline < 1),
        ("requests_per_connection must not be negative", parsed.requests_per_connection < 0),
        ("duration_s must be positive", not 0 < parsed.duration_s < math.inf),
        ("timeout_s must be positive", not 0 < parsed.timeout_s < math.inf),
        ("warmup_s must not be negative", not 0 <= parsed.warmup_s < math.inf),
        (
            "two requests have the same name",
            len({table.name for table in parsed.request}) < len(parsed.request),
        ),
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


# RFC 9110, 5.6.2: a token, as methods and header names are.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"/[!-~]*")
_VALUE = re.compile(r"[\t -~\xa0-\xff]*")


def _wrong(table: _RequestTable) -> str:
    """What cannot be sent about a request; '' when it can."""
    if not _TOKEN.fullmatch(table.method):
        return f"method {table.method!r} is not one word"
    if table.method == "HEAD":
        return "method HEAD is not supported: its answers have no body to check"
    if not _TARGET.fullmatch(table.target):
        return (
            f"target {table.target!r} must start with '/' and hold only printable ASCII, no space"
        )
    for name, value in table.headers.items():
        if not _TOKEN.fullmatch(name):
            return f"header name {name!r} is not one word"
        if not _VALUE.fullmatch(value):
            return f"header {name}: the value holds characters that HTTP does not allow"
        if name.lower() in ("content-length", "transfer-encoding") and (
            table.chunked or table.body is not None or table.body_length
        ):
            return f"header {name}: the framing of a body is made from body, body_length, chunked"
    if table.body is not None and table.body_length:
        return "give body or body_length, not both"
    if table.body_length < 0:
        return f"body_length must not be negative, not {table.body_length}"
    if table.expect.items is not None and table.expect.items < 0:
        return f"expect.items must not be negative, not {table.expect.items}"
    return ""


def _template(table: _RequestTable, scenario: str) -> RequestTemplate:
    if problem := _wrong(table):
        raise UsageError(f"scenario {scenario!r}, request {table.name!r}: {problem}")
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
