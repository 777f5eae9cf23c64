"""A scenario as the TOML text that gives the same one when it is read."""

from __future__ import annotations

import json
import random
from dataclasses import fields
from enum import Enum
from typing import Any

from diagnose.errors import UsageError
from diagnose.model.scenario import Expectation, RequestTemplate, Scenario

_LEFT_OUT = ("name", "title", "templates", "connections")


def to_toml(scenario: Scenario) -> str:
    """The text; what is as by default is left out. A request that stands n times in a row is
    written once, with `repeat = n`.

    Raises: UsageError when the bytes of a raw request are no text.
    """
    plain = Scenario(scenario.name, "", "", (), ())
    lines = [f"title = {_value(scenario.title)}"]
    lines.append(f"connections = {_value(list(scenario.connections))}")
    for field in fields(Scenario):
        value = getattr(scenario, field.name)
        if field.name not in _LEFT_OUT and value != getattr(plain, field.name):
            lines.append(f"{field.name} = {_value(value)}")
    groups: list[tuple[RequestTemplate, int]] = []
    for template in scenario.templates:
        if groups and groups[-1][0] == template:
            groups[-1] = (template, groups[-1][1] + 1)
        else:
            groups.append((template, 1))
    for template, count in groups:
        lines += ["", "[[request]]", *_request(template)]
        if count > 1:
            lines.append(f"repeat = {count}")
    return "\n".join(lines) + "\n"


def _request(template: RequestTemplate) -> list[str]:
    plain = RequestTemplate("", "GET", "")
    lines = [f"name = {_value(template.name)}"]
    if template.raw is not None:
        lines.append(_raw(template.name, template.raw))
    else:
        lines.append(f"target = {_value(template.target)}")
        if template.method != plain.method:
            lines.append(f"method = {_value(template.method)}")
    if template.headers:
        lines.append(f"headers = {_table(dict(template.headers))}")
    for name in ("body", "body_length", "chunked", "sending"):
        value = getattr(template, name)
        if value != getattr(plain, name):
            lines.append(f"{name} = {_value(value)}")
    default = Expectation()
    expected = {
        field.name: value
        for field in fields(Expectation)
        if (value := getattr(template.expect, field.name)) != getattr(default, field.name)
    }
    if expected:
        lines.append(f"expect = {_table(expected)}")
    return lines


def _raw(name: str, data: bytes) -> str:
    """The bytes as text, or as the number of random ones that the name gives.

    Raises: UsageError when they are neither.
    """
    try:
        return f"raw = {_value(data.decode())}"
    except UnicodeDecodeError:
        if data == random.Random(name).randbytes(len(data)):
            return f"random_bytes = {len(data)}"
    raise UsageError(f"request {name!r} has bytes that are no text: a scenario file cannot hold it")


def _table(values: dict[str, Any]) -> str:
    pairs = (f"{_key(name)} = {_value(value)}" for name, value in values.items())
    return f"{{ {', '.join(pairs)} }}"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else _value(name)


def _value(value: object) -> str:
    if isinstance(value, Enum):
        return _value(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A basic string of TOML escapes as JSON does, and DEL too. Source: TOML 1.0.0, String.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    return repr(value)
