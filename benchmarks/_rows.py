"""The loads that the benchmarks put on a server, and what a right answer to each of them is."""

from __future__ import annotations

import json
from dataclasses import dataclass

from diagnose.model.load import LoadPlan
from diagnose.model.scenario import Expectation, RequestTemplate, Scenario

MIB = 1024 * 1024
UPLOAD_BYTES = 20 * MIB
JSON_BYTES = 8 * 1024
JSON_ITEMS = 50
WARMUP_S = 0.5
DRAIN_S = 2.0


def json_body(size: int = JSON_BYTES, count: int = JSON_ITEMS) -> bytes:
    """The `json` answer of the contract with `count` items, padded to exactly `size` bytes.

    Raises: ValueError when the items do not fit.
    """
    items = [
        {
            "id": number,
            "name": f"item {number}",
            "category": "tools",
            "price": number + 0.25,
            "quantity": number % 7 + 1,
            "active": number % 2 == 0,
            "tags": ["new"],
            "rating": {"score": 4.5, "count": number},
            "total": round((number + 0.25) * (number % 7 + 1), 2),
        }
        for number in range(1, count + 1)
    ]
    document = {"items": items, "count": count}
    missing = size - len(json.dumps(document, separators=(",", ":")))
    if missing < 0:
        raise ValueError(f"{count} items need {size - missing} bytes, more than {size}")
    items[-1]["name"] = f"item {count}" + "x" * missing
    return json.dumps(document, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Row:
    """One load of GET requests.

    close_after: the server closes a connection after so many responses; client_closes: the client
    does (0: never). json: the answer is the contract's JSON in place of `ok`.
    tools: the generators for which the load means the same.
    """

    name: str
    connections: int
    pipeline: int = 1
    close_after: int = 0
    client_closes: int = 0
    json: bool = False
    tools: tuple[str, ...] = ("wrk", "h2load", "gcannon")

    @property
    def target(self) -> str:
        """The path that is asked for."""
        return "/json" if self.json else "/pipeline"

    @property
    def body(self) -> bytes:
        """What the server answers."""
        return json_body() if self.json else b"ok"

    @property
    def content_type(self) -> str:
        """The media type of the answer."""
        return "application/json" if self.json else "text/plain"


@dataclass(frozen=True)
class UploadRow:
    """One load of uploads, each with a body of `size` bytes."""

    name: str
    connections: int
    size: int = UPLOAD_BYTES


ROWS = (
    Row("keep-alive, 64 connections", 64),
    Row("keep-alive, 512 connections", 512),
    Row("keep-alive, 4096 connections", 4096),
    Row("pipelined 16, 512 connections", 512, pipeline=16),
    # h2load 1.52 never ends a timed run whose connections the server closes.
    Row("server closes after 10, 512 connections", 512, close_after=10, tools=("wrk", "gcannon")),
    # wrk and h2load do not close by themselves: without gcannon our figure stands alone.
    Row("client closes after 10, 512 connections", 512, client_closes=10, tools=("gcannon",)),
    Row("JSON of 8 KiB, 512 connections", 512, json=True),
)
UPLOADS = (
    UploadRow("upload of 20 MiB, 64 connections", 64),
    UploadRow("upload of 20 MiB, 256 connections", 256),
)


def _plan(port: int, scenario: Scenario, seconds: float) -> LoadPlan:
    return LoadPlan(
        address="127.0.0.1",
        port=port,
        scenario=scenario,
        total_connections=scenario.connections[0],
        first=0,
        step=1,
        warmup_s=WARMUP_S,
        duration_s=seconds,
        drain_s=DRAIN_S,
        # The client is the limit on purpose; proving it would only change the load.
        spin_probe=False,
    )


def get_plan(row: Row, port: int, seconds: float, rate: float = 0.0) -> LoadPlan:
    """Our work for a row, every answer checked; `rate`: requests due per second, 0: closed loop."""
    if row.json:
        expect = Expectation(content_type=row.content_type, items=JSON_ITEMS, decimals=2)
    else:
        expect = Expectation(content_type=row.content_type, body=row.body.decode())
    scenario = Scenario(
        name="benchmark",
        title="",
        round="",
        templates=(RequestTemplate("get", "GET", row.target, expect=expect),),
        connections=(row.connections,),
        pipeline=row.pipeline,
        requests_per_connection=row.client_closes,
        rate=rate,
    )
    return _plan(port, scenario, seconds)


def upload_plan(row: UploadRow, port: int, seconds: float) -> LoadPlan:
    """Our work for an upload row; the server must answer the number of bytes that it read."""
    template = RequestTemplate(
        "upload", "POST", "/upload", body_length=row.size, expect=Expectation(body=str(row.size))
    )
    scenario = Scenario(
        name="benchmark", title="", round="", templates=(template,), connections=(row.connections,)
    )
    return _plan(port, scenario, seconds)
