"""The scenarios that ship with the package hold the contract's figures, in both rounds."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from diagnose.model.scenario import Expectation, RequestTemplate, Scenario
from diagnose.scenario.catalog import find_scenario, shipped

SHIPPED = shipped()


@dataclass(frozen=True)
class Figures:
    """A row of the contract's table of profiles."""

    connections: tuple[int, ...]
    pipeline: int = 1
    requests_per_connection: int = 0


PROFILES = {
    "baseline@2026-03": Figures((512, 4096, 16384)),
    "baseline@2026-04": Figures((512, 4096)),
    "pipelined@2026-03": Figures((512, 4096, 16384), pipeline=16),
    "pipelined@2026-04": Figures((512, 4096), pipeline=16),
    "limited-conn@2026-03": Figures((512, 4096), requests_per_connection=10),
    "limited-conn@2026-04": Figures((512, 4096), requests_per_connection=10),
    "json@2026-03": Figures((4096, 16384)),
    "json@2026-04": Figures((4096,), requests_per_connection=25),
    "upload@2026-03": Figures((64, 256, 512)),
    "upload@2026-04": Figures((32, 256), requests_per_connection=5),
    "upload-20mb": Figures((64, 256, 512)),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_scenario_is_sound(name: str) -> None:
    scenario = SHIPPED[name]
    assert scenario.name == name
    assert scenario.title
    assert list(scenario.connections) == sorted(set(scenario.connections))
    names = [template.name for template in scenario.templates]
    assert len(set(names)) == len(names)
    assert set(scenario.round.split()) <= {"2026-03", "2026-04"}
    assert name.partition("@")[2] in ("", scenario.round)


@pytest.mark.parametrize(("name", "figures"), PROFILES.items(), ids=PROFILES.keys())
def test_profile(name: str, figures: Figures) -> None:
    scenario = find_scenario(name)
    assert (
        Figures(scenario.connections, scenario.pipeline, scenario.requests_per_connection)
        == figures
    )
    assert scenario.duration_s == 5.0


def request(
    name: str,
    method: str,
    target: str,
    answer: str | None,
    content_type: str | None = None,
    *,
    body: str | None = None,
    body_length: int = 0,
    chunked: bool = False,
) -> RequestTemplate:
    """A template without headers: no request of the contract's rounds carries a Content-Type."""
    expect = Expectation(body=answer, content_type=content_type)
    return RequestTemplate(name, method, target, (), body, body_length, chunked, expect)


SUMS = (
    request("get", "GET", "/baseline11?a=13&b=42", "55", "text/plain"),
    request("post_content_length", "POST", "/baseline11?a=13&b=42", "75", "text/plain", body="20"),
    request(
        "post_chunked", "POST", "/baseline11?a=13&b=42", "75", "text/plain", body="20", chunked=True
    ),
)
MIB_20 = 20_971_520


def upload(name: str, length: int) -> RequestTemplate:
    return request(name, "POST", "/upload", str(length), body_length=length)


@pytest.mark.parametrize(
    "name",
    ["baseline@2026-03", "baseline@2026-04", "limited-conn@2026-03", "limited-conn@2026-04"],
)
def test_sums_in_rotation(name: str) -> None:
    assert find_scenario(name).templates == SUMS


@pytest.mark.parametrize("name", ["pipelined@2026-03", "pipelined@2026-04"])
def test_pipelined_requests(name: str) -> None:
    (template,) = find_scenario(name).templates
    assert template == request("pipeline", "GET", "/pipeline", "ok", "text/plain")


def test_json_of_march() -> None:
    (template,) = find_scenario("json@2026-03").templates
    assert (template.method, template.target) == ("GET", "/json")
    assert template.expect == Expectation(content_type="application/json", items=50, decimals=2)


def test_json_of_april() -> None:
    pairs = [(1, 3), (5, 7), (10, 2), (15, 5), (25, 4), (40, 8), (50, 6)]
    templates = find_scenario("json@2026-04").templates
    assert [template.target for template in templates] == [f"/json/{n}?m={m}" for n, m in pairs]
    assert [template.expect for template in templates] == [
        Expectation(content_type="application/json", items=n, multiplier=m) for n, m in pairs
    ]
    assert all(template.method == "GET" and not template.headers for template in templates)


@pytest.mark.parametrize("name", ["upload@2026-03", "upload-20mb"])
def test_uploads_of_march(name: str) -> None:
    scenario = find_scenario(name)
    assert scenario.templates == (upload("upload_20mb", MIB_20),)
    assert scenario.has_large_bodies


def test_uploads_of_april() -> None:
    scenario = find_scenario("upload@2026-04")
    assert scenario.templates == (
        upload("upload_500kb", 500 * 1024),
        upload("upload_2mb", 2 * 1024 * 1024),
        upload("upload_10mb", 10 * 1024 * 1024),
        upload("upload_20mb", MIB_20),
    )
    assert scenario.has_large_bodies


def test_only_uploads_have_large_bodies() -> None:
    large = {name for name, scenario in SHIPPED.items() if scenario.has_large_bodies}
    assert large == {name for name in SHIPPED if name.startswith("upload")}


def test_get_takes_any_server() -> None:
    scenario = find_scenario("get")
    assert isinstance(scenario, Scenario)
    assert scenario.templates == (RequestTemplate("get", "GET", "/"),)
    assert scenario.round == ""
