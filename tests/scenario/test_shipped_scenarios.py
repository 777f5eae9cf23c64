"""The scenarios that ship with the package hold the contract's figures, in both rounds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from diagnose.model.scenario import (
    Answer,
    Expectation,
    Protocol,
    RequestTemplate,
    Scenario,
    Sending,
)
from diagnose.scenario.catalog import find_scenario, shipped
from diagnose.values import drawn

SHIPPED = shipped()


@dataclass(frozen=True)
class Figures:
    """A row of the contract's table of profiles."""

    connections: tuple[int, ...]
    pipeline: int = 1
    requests_per_connection: int = 0
    duration_s: float = 5.0
    server_cores: int = 0
    protocol: Protocol = Protocol.HTTP
    tls: bool = False
    port: int = 8080


PROFILES = {
    "baseline@2026-03": Figures((512, 4096, 16384)),
    "baseline@2026-04": Figures((512, 4096)),
    "pipelined@2026-03": Figures((512, 4096, 16384), pipeline=16),
    "pipelined@2026-04": Figures((512, 4096), pipeline=16),
    "limited-conn@2026-03": Figures((512, 4096), requests_per_connection=10),
    "limited-conn@2026-04": Figures((512, 4096), requests_per_connection=10),
    "json@2026-03": Figures((4096, 16384)),
    "json@2026-04": Figures((4096,), requests_per_connection=25),
    "json-comp@2026-04": Figures((512, 4096, 16384), requests_per_connection=25),
    "compression@2026-03": Figures((4096, 16384)),
    "upload@2026-03": Figures((64, 256, 512)),
    "upload@2026-04": Figures((32, 256), requests_per_connection=5),
    "upload-20mb": Figures((64, 256, 512)),
    "noisy@2026-03": Figures((512, 4096, 16384)),
    "mixed@2026-03": Figures((4096, 16384), requests_per_connection=5),
    "api-4@2026-04": Figures((256,), requests_per_connection=5, duration_s=15.0, server_cores=4),
    "api-16@2026-04": Figures((1024,), requests_per_connection=5, duration_s=15.0, server_cores=16),
    "static@2026-04": Figures((1024, 4096, 6800), requests_per_connection=200),
    "async-db@2026-04": Figures((1024,), requests_per_connection=25, duration_s=10.0),
    "echo-ws@2026-03": Figures((512, 4096, 16384), pipeline=16, protocol=Protocol.WS),
    "echo-ws@2026-04": Figures((512, 4096, 16384), protocol=Protocol.WS),
    **{
        f"baseline-h2@{round_name}": Figures(
            (256, 1024), pipeline=32, protocol=Protocol.H2, tls=True, port=8443
        )
        for round_name in ("2026-03", "2026-04")
    },
}
# What the contract has no row for: variants of its profiles on its other ports, and our reading
# of crud.
BESIDE = {
    "crud": Figures((1024,), requests_per_connection=25, duration_s=10.0),
    "db": Figures((512, 4096)),
    "json-tls": Figures((4096,), requests_per_connection=25, tls=True, port=8081),
    "json-h2c": Figures((256, 1024), pipeline=32, protocol=Protocol.H2, port=8082),
    "get": Figures((64, 512)),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_scenario_is_sound(name: str) -> None:
    scenario = SHIPPED[name]
    assert scenario.name == name
    assert scenario.title
    assert list(scenario.connections) == sorted(set(scenario.connections))
    # A name that stands twice in a rotation is the same request twice.
    kinds = set(scenario.templates)
    assert len({template.name for template in kinds}) == len(kinds)
    assert set(scenario.round.split()) <= {"2026-03", "2026-04"}
    assert name.partition("@")[2] in ("", scenario.round)
    assert scenario.rate == scenario.ramp_s == scenario.send_rate == scenario.read_rate == 0
    assert all(template.sending is Sending.WHOLE for template in scenario.templates)


@pytest.mark.parametrize(
    ("name", "figures"), {**PROFILES, **BESIDE}.items(), ids={**PROFILES, **BESIDE}.keys()
)
def test_profile(name: str, figures: Figures) -> None:
    scenario = find_scenario(name)
    assert name in (scenario.name, f"{scenario.name}@2026-03", f"{scenario.name}@2026-04")
    assert figures == Figures(
        scenario.connections,
        scenario.pipeline,
        scenario.requests_per_connection,
        scenario.duration_s,
        scenario.server_cores,
        scenario.protocol,
        scenario.tls,
        scenario.port,
    )


def test_every_scenario_has_its_figures_here() -> None:
    assert {find_scenario(name).name for name in {**PROFILES, **BESIDE}} == set(SHIPPED)


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


PAIRS = [(1, 3), (5, 7), (10, 2), (15, 5), (25, 4), (40, 8), (50, 6)]
GZIP = (("Accept-Encoding", "gzip"),)


def items(n: int, m: int, **expect: Any) -> Expectation:
    """The first n items with totals times m."""
    return Expectation(content_type="application/json", items=n, multiplier=m, **expect)


def rows(limit: int) -> Expectation:
    """Database rows in the range of prices that is asked for."""
    return Expectation(content_type="application/json", rows=limit, price=(10, 50))


COMPRESSED = Expectation(
    content_type="application/json",
    min_items=5000,
    decimals=2,
    encoding=("gzip",),
    max_wire_bytes=500_000,
)


@pytest.mark.parametrize("name", ["json@2026-04", "json-tls", "json-h2c"])
def test_json_of_april(name: str) -> None:
    templates = find_scenario(name).templates
    assert [template.target for template in templates] == [f"/json/{n}?m={m}" for n, m in PAIRS]
    assert [template.expect for template in templates] == [items(n, m) for n, m in PAIRS]
    assert all(template.method == "GET" and not template.headers for template in templates)


def test_compressed_json_of_april() -> None:
    templates = find_scenario("json-comp").templates
    pairs = [pair for pair in PAIRS if pair[0] in (25, 40, 50)]
    assert [template.target for template in templates] == [f"/json/{n}?m={m}" for n, m in pairs]
    assert [template.expect for template in templates] == [
        items(n, m, encoding=("gzip", "br")) for n, m in pairs
    ]
    assert {template.headers for template in templates} == {(("Accept-Encoding", "gzip, br"),)}


def test_compression_of_march() -> None:
    (template,) = find_scenario("compression").templates
    assert (template.target, template.headers, template.expect) == (
        *("/compression", GZIP),
        COMPRESSED,
    )


def test_database_rows() -> None:
    (template,) = find_scenario("db").templates
    assert (template.target, template.expect) == ("/db?min=10&max=50", rows(50))
    limits = (5, 10, 20, 35, 50)
    templates = find_scenario("async-db").templates
    assert [(template.target, template.expect) for template in templates] == [
        (f"/async-db?min=10&max=50&limit={limit}", rows(limit)) for limit in limits
    ]


def test_crud_requests() -> None:
    templates = find_scenario("crud").templates
    assert [(each.method, templates.count(each)) for each in dict.fromkeys(templates)] == [
        *(("GET", 2), ("GET", 18), ("GET", 1), ("PUT", 1), ("POST", 1))
    ]
    assert all(each.target.startswith("/crud/items") for each in templates)
    unchanged, *others = dict.fromkeys(templates)
    # What is written lies elsewhere, so that its body must stay the same.
    assert (unchanged.target, unchanged.expect.same) == ("/crud/items/7", True)
    assert not any(each.expect.same for each in others)
    for each in others:
        assert each.target != unchanged.target
        assert each.expect.status == ((201,) if each.method == "POST" else (200,))
    # A body is JSON whatever is drawn: no number has a zero in front.
    for body in (each.body for each in others if each.body):
        for _ in range(50):
            json.loads(drawn(body.encode(), 0))


def test_noisy_requests() -> None:
    *good, unknown, missing, random = find_scenario("noisy").templates
    assert tuple(good) == SUMS[:2]
    assert unknown.expect == Expectation(status=(404,))
    assert missing.raw is not None
    head, _, body = missing.raw.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /baseline11?a=13&b=42 HTTP/1.1\r\n")
    assert b"\r\nContent-Length: 999" in head
    assert body == b""
    assert random.raw is not None
    assert len(random.raw) == 256
    assert missing.expect == random.expect == Expectation(answer=Answer.ANY)


def test_mixed_requests() -> None:
    get, _, _, post, _, json, db, upload_1mb, compression, again = find_scenario("mixed").templates
    assert find_scenario("mixed").templates[:5] == (get, get, get, post, post)
    assert (get, post) == SUMS[:2]
    assert json.expect == find_scenario("json@2026-03").templates[0].expect
    assert (db.target, db.expect) == ("/db?min=10&max=50", rows(50))
    assert upload_1mb == upload("upload_1mb", 1 << 20)
    assert compression == again
    assert (compression.headers, compression.expect) == (GZIP, COMPRESSED)


@pytest.mark.parametrize("name", ["api-4", "api-16"])
def test_api_requests(name: str) -> None:
    templates = find_scenario(name).templates
    assert templates[:3] == (SUMS[0],) * 3
    assert [template.expect for template in templates[3:6]] == [
        items(n, m) for n, m in ((5, 7), (10, 2), (25, 4))
    ]
    assert [template.expect for template in templates[6:]] == [rows(10), rows(20)]
    assert len(templates) == 8


def test_static_files() -> None:
    templates = find_scenario("static").templates
    assert len(set(templates)) == 20
    for template in templates:
        assert template.target == f"/static/{template.name}"
        assert template.expect.same
        kind = template.expect.content_type
        # JavaScript has two types that are right (RFC 9239, 6): a server may choose.
        assert (kind is None) == template.name.endswith(".js")


@pytest.mark.parametrize("name", ["echo-ws@2026-03", "echo-ws@2026-04"])
def test_websocket_messages(name: str) -> None:
    (template,) = find_scenario(name).templates
    assert (template.method, template.target) == ("GET", "/ws")
    assert template.body


def test_sums_over_http_2() -> None:
    (template,) = find_scenario("baseline-h2").templates
    assert template == request("get", "GET", "/baseline2?a=13&b=42", "55", "text/plain")


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
