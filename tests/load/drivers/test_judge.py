"""What each driver refuses, and what it says that it does otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnose.load import drivers
from diagnose.load.drivers import Judgement
from diagnose.model.scenario import (
    Answer,
    Expectation,
    Protocol,
    RequestTemplate,
    Scenario,
    Sending,
)
from tests.load.drivers.captured import GET, POST, scenario

MIB = 1 << 20
JSON = tuple(RequestTemplate(f"json_{n}", "GET", f"/json/{n}") for n in (1, 5, 50))
UPLOADS = tuple(RequestTemplate(f"up_{n}", "POST", "/upload", body_length=n * MIB) for n in (1, 20))
RAW = RequestTemplate("raw", "GET", "/", raw=b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
BROKEN = replace(RAW, name="broken", raw=b"x\r\n\r\n", expect=Expectation(answer=Answer.ANY))
EVERY = {"wrk", "h2load", "gcannon", "oha"}


def judge(name: str, wanted: Scenario, connections: int = 64) -> Judgement:
    """The judgement of a driver."""
    return drivers.driver(name).judge(wanted, connections)


@pytest.mark.parametrize(
    ("wanted", "able", "reason"),
    [
        pytest.param(scenario(), EVERY, "", id="get"),
        pytest.param(scenario(pipeline=16), EVERY - {"oha"}, "not pipeline", id="pipelined"),
        pytest.param(
            scenario(POST, pipeline=4), {"wrk", "gcannon"}, "not pipeline", id="pipelined bodies"
        ),
        pytest.param(
            scenario(protocol=Protocol.H2), {"h2load", "oha"}, "not speak HTTP/2", id="h2c"
        ),
        pytest.param(
            scenario(protocol=Protocol.H2, tls=True, pipeline=8),
            {"h2load", "oha"},
            "not speak HTTP/2",
            id="h2 streams over TLS",
        ),
        pytest.param(scenario(tls=True), EVERY - {"gcannon"}, "not speak TLS", id="TLS"),
        pytest.param(scenario(protocol=Protocol.WS), set(), "not speak WebSocket", id="WebSocket"),
        pytest.param(scenario(rate=500.0), {"h2load", "oha"}, "no open loop", id="open loop"),
        pytest.param(scenario(send_rate=1000.0), set(), "slowly", id="slow sender"),
        pytest.param(scenario(read_rate=1000.0), set(), "slowly", id="slow reader"),
        pytest.param(
            scenario(requests_per_connection=1),
            {"gcannon", "oha"},
            "after 1 request:",
            id="one request a connection",
        ),
        pytest.param(
            scenario(requests_per_connection=10),
            {"gcannon"},
            "after 10 requests:",
            id="some requests a connection",
        ),
        pytest.param(scenario(GET, POST), EVERY, "", id="one kind of work"),
        pytest.param(scenario(*JSON), EVERY - {"oha"}, "cannot rotate", id="targets"),
        pytest.param(scenario(*UPLOADS), {"gcannon"}, "", id="long bodies in rotation"),
        pytest.param(scenario(UPLOADS[1]), EVERY, "", id="one long body"),
        pytest.param(scenario(RAW), {"wrk", "gcannon"}, "exact bytes", id="raw"),
        pytest.param(scenario(GET, BROKEN), {"gcannon"}, "gets no answer", id="broken"),
        pytest.param(
            scenario(replace(POST, sending=Sending.HEAD)), {"gcannon"}, "a part", id="partial"
        ),
        pytest.param(
            scenario(replace(GET, method="HEAD")), {"gcannon", "oha"}, "after HEAD", id="HEAD"
        ),
        pytest.param(
            scenario(replace(GET, target="/{RAND:1:9}")), EVERY - {"oha"}, "{RAND}", id="values"
        ),
        pytest.param(
            scenario(replace(POST, body="{RAND:1:9}")),
            {"wrk", "gcannon"},
            "{RAND}",
            id="values in the body",
        ),
    ],
)
def test_a_scenario_that_would_lose_its_meaning_is_refused(
    wanted: Scenario, able: set[str], reason: str
) -> None:
    refusals = {name: judge(name, wanted).refusal for name in EVERY}
    assert {name for name, refusal in refusals.items() if not refusal} == able
    for name, refusal in refusals.items():
        if refusal:
            assert refusal.startswith("it ")
            assert reason in refusal
            assert judge(name, wanted).caveats == ()


def test_h2load_knows_head_in_http2() -> None:
    head = replace(GET, method="HEAD")
    assert judge("h2load", scenario(head, protocol=Protocol.H2)).refusal == ""


def test_wrk_holds_rotating_bodies_for_each_connection() -> None:
    wanted = scenario(*UPLOADS)
    assert judge("wrk", wanted, 8).refusal == ""
    refusal = judge("wrk", wanted, 64).refusal
    assert "holds a copy of the request for each connection" in refusal
    assert "at 64 connections" in refusal
    assert judge("wrk", scenario(UPLOADS[1]), 512).refusal == ""


@pytest.mark.parametrize(
    ("name", "wanted", "said"),
    [
        ("h2load", scenario(GET, POST), "sends only the first template, get, of 2"),
        ("oha", scenario(GET, POST), "sends only the first template, get, of 2"),
        ("wrk", scenario(ramp_s=3.0), "opens all connections at once, not over 3 s"),
        ("wrk", scenario(), "opened inside the measured window"),
        ("wrk", scenario(), "not comparable"),
        ("wrk", scenario(), "3xx responses are counted as 2xx"),
        ("wrk", scenario(GET, POST), "rotate over each thread"),
        ("wrk", scenario(replace(GET, target="/{SEQ:1}")), "drawn before the run"),
        ("wrk", scenario(pipeline=16), "waits for all of their responses"),
        ("h2load", scenario(*JSON), "rotate on each connection"),
        ("h2load", scenario(replace(POST, chunked=True)), "not chunked"),
        ("h2load", scenario(rate=100.0), "not when it was due"),
        ("h2load", scenario(replace(GET, target="/{SEQ:1}")), "drawn before the run"),
        ("oha", scenario(requests_per_connection=1), "it is the server that closes"),
        ("oha", scenario(replace(POST, chunked=True)), "not chunked"),
        ("gcannon", scenario(), "counts as a reconnect and not as an error"),
    ],
)
def test_what_is_done_otherwise_is_said(name: str, wanted: Scenario, said: str) -> None:
    assert said in "; ".join(judge(name, wanted).caveats)


@pytest.mark.parametrize(
    ("name", "wanted", "unsaid"),
    [
        ("h2load", scenario(), "inside the measured window"),
        ("h2load", scenario(replace(POST, chunked=True), protocol=Protocol.H2), "chunked"),
        ("h2load", scenario(*JSON), "only the first"),
        ("wrk", scenario(GET, GET), "rotate"),
        ("wrk", scenario(), "written from documentation"),
        ("h2load", scenario(), "written from documentation"),
    ],
)
def test_what_is_done_as_wanted_is_not_said(name: str, wanted: Scenario, unsaid: str) -> None:
    judgement = judge(name, wanted)
    assert judgement.refusal == ""
    assert unsaid not in "; ".join(judgement.caveats)
