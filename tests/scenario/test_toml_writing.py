"""A scenario that is written as TOML is the same when it is read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnose.errors import UsageError
from diagnose.model.scenario import Expectation, Protocol, RequestTemplate, Scenario, Sending
from diagnose.scenario.catalog import shipped
from diagnose.scenario.toml_file import parse_scenario
from diagnose.scenario.toml_writing import to_toml


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_scenario_of_ours(name: str) -> None:
    scenario = shipped()[name]
    assert parse_scenario(to_toml(scenario), scenario.name) == scenario


def test_odd_text_and_every_field() -> None:
    template = RequestTemplate(
        'a "name" \\ with = # signs',
        "POST",
        "/x?a='1'&b=%20",
        headers=(("X-Odd", 'tab\t "quoted" \\'), ("Accept-Encoding", "gzip")),
        body="line\nline\x7f",
        chunked=True,
        expect=Expectation(
            status=(200, 404), body="ok", content_type="text/plain", max_wire_bytes=10, same=True
        ),
    )
    half = replace(template, name="half", chunked=False, sending=Sending.HALF)
    scenario = Scenario(
        "odd", "ümlaut", "2026-04", (template, template, half), (1, 2), pipeline=1,
        requests_per_connection=7, warmup_s=0.25, duration_s=1.5, timeout_s=2.0, port=81,
        server_cores=3, rate=10.5, ramp_s=1.0, send_rate=100.0, read_rate=5.0,
        protocol=Protocol.HTTP, tls=True,
    )  # fmt: skip
    assert parse_scenario(to_toml(scenario), "odd") == scenario


def test_bytes_that_are_no_text_are_refused() -> None:
    template = RequestTemplate("odd", "RAW", "/", raw=b"GET \xff\xfe")
    with pytest.raises(UsageError, match="'odd' has bytes that are no text"):
        to_toml(Scenario("x", "x", "", (template,), (1,)))
