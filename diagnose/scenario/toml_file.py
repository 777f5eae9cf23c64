"""The TOML form of a scenario, checked key by key."""

from __future__ import annotations

import math
import random
import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from diagnose.errors import UsageError
from diagnose.model.scenario import (
    CODINGS,
    INLINE_BODY,
    Answer,
    Expectation,
    Protocol,
    RequestTemplate,
    Scenario,
    Sending,
)
from diagnose.scenario.raw_file import raw_template
from diagnose.values import has_counter, has_values, malformed

MAX_RANDOM = 64 * 1024
MAX_CONNECTIONS = 60_000
# A masked frame and its echo stay within one read of the generator.
WS_LIMIT = 16 * 1024


class _ExpectTable(msgspec.Struct, forbid_unknown_fields=True):
    status: list[int] = []
    body: str | None = None
    content_type: str | None = None
    items: int | None = None
    min_items: int | None = None
    multiplier: int = 1
    decimals: int | None = None
    sum: bool = False
    rows: int | None = None
    price: tuple[float, float] | None = None
    encoding: list[str] | None = None
    max_wire_bytes: int | None = None
    same: bool = False
    answer: Answer = Answer.REQUIRED


class _RequestTable(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    target: str = ""
    method: str = "GET"
    headers: dict[str, str] = {}
    body: str | None = None
    body_length: int = 0
    chunked: bool = False
    raw: str | None = None
    random_bytes: int = 0
    sending: Sending = Sending.WHOLE
    repeat: int = 1
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
    protocol: Protocol = Protocol.HTTP
    tls: bool = False
    port: int = 8080
    server_cores: int = 0
    rate: float = 0.0
    ramp_s: float = 0.0
    send_rate: float = 0.0
    read_rate: float = 0.0


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
        (
            f"connections must be 1 to {MAX_CONNECTIONS}",
            any(not 1 <= count <= MAX_CONNECTIONS for count in parsed.connections),
        ),
        (
            "a request's name must be printable, in one line",
            any(not table.name.strip() or not table.name.isprintable() for table in parsed.request),
        ),
        ("[[request]] must stand there at least once", not parsed.request),
        ("pipeline must be at least 1", parsed.pipeline < 1),
        ("requests_per_connection must not be negative", parsed.requests_per_connection < 0),
        ("duration_s must be positive", not 0 < parsed.duration_s < math.inf),
        ("timeout_s must be positive", not 0 < parsed.timeout_s < math.inf),
        ("warmup_s must not be negative", not 0 <= parsed.warmup_s < math.inf),
        ("port must be 1 to 65535", not 1 <= parsed.port <= 65535),
        ("server_cores must not be negative", parsed.server_cores < 0),
        *(
            (f"{name} must not be negative", not 0 <= getattr(parsed, name) < math.inf)
            for name in ("rate", "ramp_s", "send_rate", "read_rate")
        ),
        ("repeat must be 1 to 100", any(not 1 <= table.repeat <= 100 for table in parsed.request)),
        (
            "two requests have the same name",
            len({table.name for table in parsed.request}) < len(parsed.request),
        ),
    ):
        if wrong:
            raise UsageError(f"scenario {name!r} is not valid: {what}")
    templates = tuple(
        template for table in parsed.request for template in [_template(table, name)] * table.repeat
    )
    if problem := unsendable(templates, parsed.pipeline, parsed.protocol):
        raise UsageError(f"scenario {name!r} is not valid: {problem}")
    return Scenario(
        name=name,
        title=parsed.title,
        round=parsed.round,
        templates=templates,
        connections=tuple(parsed.connections),
        pipeline=parsed.pipeline,
        requests_per_connection=parsed.requests_per_connection,
        warmup_s=parsed.warmup_s,
        duration_s=parsed.duration_s,
        timeout_s=parsed.timeout_s,
        protocol=parsed.protocol,
        tls=parsed.tls,
        port=parsed.port,
        server_cores=parsed.server_cores,
        rate=parsed.rate,
        ramp_s=parsed.ramp_s,
        send_rate=parsed.send_rate,
        read_rate=parsed.read_rate,
    )


def unsendable(templates: Sequence[RequestTemplate], pipeline: int, protocol: Protocol) -> str:
    """Why these requests cannot be sent so together; '' when they can."""
    if pipeline > 1 and any(template.body_length > INLINE_BODY for template in templates):
        return f"pipeline = {pipeline}: generated bodies over {INLINE_BODY} bytes are not pipelined"
    if pipeline > 1 and any(template.sending is not Sending.WHOLE for template in templates):
        return (
            f"pipeline = {pipeline}: a request that is not sent whole ends what a connection sends"
        )
    if protocol is Protocol.WS:
        for template in templates:
            if (
                template.raw is not None
                or template.body is None
                or template.sending is not Sending.WHOLE
            ):
                return f"request {template.name!r}: a WebSocket message is the text in body"
            if template.method != "GET":
                return f"request {template.name!r}: a WebSocket is opened with GET"
            if has_values(template.body.encode()):
                return f"request {template.name!r}: values are not filled into WebSocket messages"
            if len(template.body.encode()) > WS_LIMIT:
                return f"request {template.name!r}: a WebSocket message may have {WS_LIMIT} bytes"
    if protocol is Protocol.H2:
        for template in templates:
            if template.raw is not None or template.sending is not Sending.WHOLE:
                return f"request {template.name!r}: raw bytes are HTTP/1.1, not HTTP/2"
    return ""


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
    if table.method == "CONNECT":
        return "method CONNECT is not supported: it is for proxies"
    if (table.raw is not None) + bool(table.random_bytes) + bool(table.target) != 1:
        return "give one of target, raw, random_bytes"
    if not 0 <= table.random_bytes <= MAX_RANDOM:
        return f"random_bytes takes 1 to {MAX_RANDOM}, not {table.random_bytes}"
    if not table.target:
        return _wrong_raw(table)
    for what, text in (
        ("target", table.target),
        ("body", table.body or ""),
        *table.headers.items(),
    ):
        if problem := malformed(text.encode()):
            return f"{what}: {problem!r} is not {{RAND:min:max}} with min <= max, nor {{SEQ:start}}"
    if has_counter((table.body or "").encode()):
        return "SEQ in a body has no constant length: use RAND, or SEQ in the target"
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
    if table.sending is not Sending.WHOLE and table.body is None and not table.body_length:
        return f"sending = {table.sending.value!r}: there is no body to hold back"
    if table.sending is Sending.HALF and has_values((table.body or "").encode()):
        return "sending = 'half': the body has values in it, which half of it could cut through"
    return _wrong_expectation(table.expect)


def _wrong_expectation(expect: _ExpectTable) -> str:
    if expect.items is not None and expect.items < 0:
        return f"expect.items must not be negative, not {expect.items}"
    if expect.min_items is not None and expect.min_items < 0:
        return f"expect.min_items must not be negative, not {expect.min_items}"
    if strange := [status for status in expect.status if not 200 <= status <= 599]:
        return f"expect.status {strange[0]} is none of a final answer: 200 to 599"
    if expect.answer is Answer.ANY and expect.status:
        return "expect.answer = 'any' takes every status: leave expect.status out"
    if expect.price is not None and expect.price[0] > expect.price[1]:
        return f"expect.price must be lowest and highest, not {list(expect.price)}"
    if expect.sum and expect.body is not None:
        return "give expect.sum or expect.body, not both"
    if expect.price is not None and expect.rows is None:
        return "expect.price needs expect.rows"
    if unknown := sorted(set(expect.encoding or ()) - set(CODINGS)):
        return f"expect.encoding {unknown[0]!r} cannot be decoded; known: {', '.join(CODINGS)}"
    return ""


def _wrong_raw(table: _RequestTable) -> str:
    """What is wrong with a request that is given by its bytes."""
    for name in ("method", "headers", "body", "body_length", "chunked", "sending"):
        if getattr(table, name) != getattr(_RequestTable(name=""), name):
            return f"{name} is part of the raw bytes: leave it out"
    if table.raw is not None and not table.raw:
        return "raw must hold at least one byte"
    if problem := malformed((table.raw or "").encode()):
        return f"raw: {problem!r} is not {{RAND:min:max}} with min <= max, nor {{SEQ:start}}"
    return _wrong_expectation(table.expect)


def _template(table: _RequestTable, scenario: str) -> RequestTemplate:
    if problem := _wrong(table):
        raise UsageError(f"scenario {scenario!r}, request {table.name!r}: {problem}")
    if not table.target:
        raw = (
            random.Random(table.name).randbytes(table.random_bytes)
            if table.raw is None
            else table.raw.encode("utf-8")
        )
        template = raw_template(table.name, raw)
        if table.expect == _ExpectTable():
            return template
        return replace(template, expect=_expectation(table.expect, 0))
    template = RequestTemplate(
        name=table.name,
        method=table.method,
        target=table.target,
        headers=tuple(table.headers.items()),
        body=table.body,
        body_length=table.body_length,
        chunked=table.chunked,
        sending=table.sending,
    )
    return replace(template, expect=_expectation(table.expect, template.payload_length))


def _expectation(table: _ExpectTable, length: int) -> Expectation:
    return Expectation(
        status=tuple(table.status),
        body=None if table.body is None else table.body.replace("$LENGTH", str(length)),
        content_type=table.content_type,
        items=table.items,
        min_items=table.min_items,
        multiplier=table.multiplier,
        decimals=table.decimals,
        sum=table.sum,
        rows=table.rows,
        price=table.price,
        encoding=None if table.encoding is None else tuple(table.encoding),
        max_wire_bytes=table.max_wire_bytes,
        same=table.same,
        answer=table.answer,
    )
