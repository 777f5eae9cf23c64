"""The benchmark's profile strings: `pipeline|requests|cpus|connections|endpoint`.

`1|10||512,4096|` is limited-conn: one request in flight, ten per connection, no CPU limit, 512 and
4096 connections, the baseline templates. Source: the profile table of the HttpArena benchmark.
"""

from __future__ import annotations

import re
from dataclasses import replace

from diagnose.errors import UsageError
from diagnose.model.scenario import Scenario
from diagnose.scenario.toml_file import unsendable

# Endpoint of a profile string -> the scenario whose requests it means.
ENDPOINTS = {
    "": "baseline",
    "pipeline": "pipelined",
    "json": "json",
    "json-comp": "json-comp",
    "json-tls": "json-tls",
    "json-h2c": "json-h2c",
    "upload": "upload",
    "compression": "compression",
    "noisy": "noisy",
    "mixed": "mixed",
    "static": "static",
    "async-db": "async-db",
    "crud": "crud",
    "api-4": "api-4",
    "api-16": "api-16",
    "ws-echo": "echo-ws",
    "echo-ws": "echo-ws",
    "h2": "baseline-h2",
}


def is_profile_string(text: str) -> bool:
    """It has the bars of one."""
    return "|" in text


def endpoint(text: str) -> str:
    """The name of the scenario whose requests a profile string means.

    Raises: UsageError.
    """
    word = _fields(text)[4]
    if word not in ENDPOINTS:
        raise UsageError(
            f"profile string {text!r}: no endpoint {word!r}; known: "
            f"{', '.join(repr(name) for name in ENDPOINTS)}"
        )
    return ENDPOINTS[word]


def apply(text: str, scenario: Scenario) -> Scenario:
    """The scenario with the figures of a profile string.

    Raises: UsageError naming the field that is not a number.
    """
    fields = _fields(text)
    connections = tuple(
        _number(text, "connections", word, 1) for word in fields[3].split(",") if word
    )
    pipeline = _number(text, "pipeline", fields[0] or "1", 1)
    if pipeline > 1 and scenario.has_large_bodies:
        raise UsageError(f"profile string {text!r}: uploads are not pipelined")
    if problem := unsendable(scenario.templates, pipeline, scenario.protocol):
        raise UsageError(f"profile string {text!r}: {problem}")
    return replace(
        scenario,
        pipeline=pipeline,
        requests_per_connection=_number(text, "requests per connection", fields[1] or "0", 0),
        server_cores=_number(text, "CPU limit", fields[2] or "0", 0),
        connections=connections or scenario.connections,
    )


def _fields(text: str) -> list[str]:
    fields = [word.strip() for word in text.split("|")]
    if len(fields) != 5:
        raise UsageError(
            f"profile string {text!r} has {len(fields)} fields, not 5: pipeline|requests "
            "per connection|CPU limit|connections|endpoint, like '1|10||512,4096|'"
        )
    return fields


def _number(text: str, what: str, word: str, least: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", word) or int(word) < least:
        raise UsageError(
            f"profile string {text!r}: {what} must be a number from {least}, not {word!r}"
        )
    return int(word)
