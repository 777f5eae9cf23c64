"""Every shipped profile, and every way of sending, against servers that count for themselves.

The load worker is the real process; the reference server answers as the contract says, and the
server below writes down who asked, when, and how much of it came.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from diagnose.load.merge import merge
from diagnose.load.worker import Message
from diagnose.model.load import LoadPlan, LoadResult
from diagnose.model.scenario import (
    Answer,
    Expectation,
    Protocol,
    RequestTemplate,
    Scenario,
    Sending,
)
from diagnose.scenario.catalog import shipped
from tests.integration.conftest import Diagnose, free_port, listens, program, reference

pytestmark = pytest.mark.integration

DEADLINE_S = 30.0
WITNESS = Path(__file__).with_name("witness_server.py")
SCENARIOS = {
    name: scenario
    for name, scenario in shipped().items()
    # The engine leaves HTTP/2 to drivers, the reference server serves no "/", and the items of crud
    # are in a database: test_database.py has one.
    if scenario.protocol is not Protocol.H2 and name not in ("get", "crud")
}
GET = RequestTemplate("get", "GET", "/baseline11?a=1&b=2", expect=Expectation(sum=True))


def load(scenario: Scenario, port: int, connections: int, **changes: object) -> LoadResult:
    """What one worker saw."""
    plan = LoadPlan(
        address="127.0.0.1",
        port=port,
        scenario=scenario,
        total_connections=connections,
        first=0,
        step=1,
        warmup_s=0.0,
        duration_s=0.8,
        drain_s=3.0,
        spin_probe=False,
    )
    plan = replace(plan, **changes)  # type: ignore[arg-type]
    process = subprocess.Popen(
        [sys.executable, "-m", "diagnose.load.worker", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    # The worker ends at once when its input does: it stays open until the report is there.
    assert process.stdin is not None
    assert process.stdout is not None
    watchdog = threading.Timer(DEADLINE_S, process.kill)
    watchdog.start()
    try:
        process.stdin.write(msgspec.json.encode(plan) + b"\ngo\n")
        process.stdin.flush()
        messages = [msgspec.json.decode(line, type=Message) for line in process.stdout]
    finally:
        watchdog.cancel()
        process.stdin.close()
        process.stdout.close()
        process.wait(DEADLINE_S)
    reports = [message.report for message in messages if message.report is not None]
    assert reports, messages[-1:]
    return merge(plan, reports)


@contextmanager
def served(command: list[str], port: int, *more: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server until it listens, and until its end."""
    environment = {**os.environ, "PORT": str(port)}
    process = subprocess.Popen(
        [word.replace("$PORT", str(port)) for word in command], env=environment
    )
    try:
        end = time.monotonic() + DEADLINE_S
        while not all(listens(each) for each in (port, *more)):
            assert process.poll() is None, f"{command} ended"
            assert time.monotonic() < end, f"{command} does not listen"
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


@pytest.fixture(scope="module")
def entry() -> Iterator[tuple[int, int]]:
    """The reference server: its ports without and with TLS."""
    program("openssl")
    port, tls_port = free_port(), free_port()
    with served(reference("--tls-port", str(tls_port)), port, tls_port):
        yield port, tls_port


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_profile_is_answered_right(entry: tuple[int, int], name: str) -> None:
    scenario = SCENARIOS[name]
    result = load(scenario, entry[scenario.tls], 2 * len(scenario.templates))
    assert result.failures == {}, result.examples
    assert result.ok > 0
    checked = [each for each in scenario.templates if each.expect != Expectation()]
    if checked or scenario.protocol is Protocol.WS:
        assert result.bodies_checked > 0
    seen = {template.name for template in result.templates if template.responses}
    required = {each.name for each in scenario.templates if each.expect.answer is Answer.REQUIRED}
    assert required <= seen
    assert result.unanswered == 0


def test_what_may_get_any_answer_is_told_apart(entry: tuple[int, int]) -> None:
    result = load(SCENARIOS["noisy"], entry[0], 10)
    statuses = result.status_classes
    assert statuses["2xx"] == result.ok
    assert statuses["4xx"] > 0
    # The unknown path's 404 and the refusals of what is no request.
    assert result.tolerated >= statuses["4xx"]


@contextmanager
def witness(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A server that writes down what it saw when it ends."""
    port, notes = free_port(), tmp_path / "notes.json"
    with served([sys.executable, str(WITNESS), "$PORT", str(notes)], port):
        yield port, notes


def seen(notes: Path) -> dict[str, object]:
    """What the witness wrote."""
    document: dict[str, object] = json.loads(notes.read_text())
    return document


def scenario_of(*templates: RequestTemplate, **changes: object) -> Scenario:
    """A scenario of these requests."""
    plain = Scenario("test", "", "", templates, (1,))
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_an_open_loop_keeps_its_rate(tmp_path: Path) -> None:
    with witness(tmp_path) as (port, notes):
        result = load(scenario_of(GET, rate=500.0), port, 8, duration_s=2.0)
    assert result.failures == {}
    assert result.rate == 500.0
    assert result.responses == pytest.approx(1000, rel=0.05)
    assert seen(notes)["requests"] == pytest.approx(1000, rel=0.05)


def test_an_open_loop_does_not_forgive_a_slow_server(tmp_path: Path) -> None:
    slow = replace(GET, target="/slow?a=1&b=2")
    with witness(tmp_path) as (port, _):
        result = load(scenario_of(slow, rate=100.0), port, 1, duration_s=1.0)
    # One connection and 50 ms an answer: 20 of 100 are answered, and the last one waited long.
    assert result.overdue == pytest.approx(80, abs=15)
    assert result.latency.max_s > 0.5


def test_connections_are_opened_over_the_ramp(tmp_path: Path) -> None:
    with witness(tmp_path) as (port, notes):
        result = load(scenario_of(GET, ramp_s=1.0), port, 20)
    assert result.failures == {}
    assert result.established == 20
    opened = seen(notes)["opened"]
    assert isinstance(opened, list)
    middle = opened[0] + (opened[-1] - opened[0]) / 2
    assert opened[-1] - opened[0] == pytest.approx(0.95, abs=0.3)
    assert sum(moment < middle for moment in opened) == pytest.approx(10, abs=3)


def test_a_slow_sender_sends_slowly(tmp_path: Path) -> None:
    upload = RequestTemplate("up", "POST", "/upload", body_length=1 << 20)
    scenario = scenario_of(upload, send_rate=100_000.0)
    with witness(tmp_path) as (port, notes):
        result = load(scenario, port, 4, duration_s=1.5, drain_s=0.1)
    assert result.failures == {}
    assert result.body_sent == pytest.approx(4 * 100_000 * 1.5, rel=0.25)
    assert seen(notes)["bytes"] == pytest.approx(result.body_sent, rel=0.3)


def test_a_slow_reader_reads_slowly(tmp_path: Path) -> None:
    large = RequestTemplate("large", "GET", "/large?length=2000000")
    with witness(tmp_path) as (port, _):
        result = load(scenario_of(large, read_rate=100_000.0), port, 4, duration_s=1.5, drain_s=0.1)
    assert result.failures == {}
    assert result.bytes_received == pytest.approx(4 * 100_000 * 1.5, rel=0.25)


@pytest.mark.parametrize("sending", [Sending.HEAD, Sending.HALF])
def test_requests_that_are_never_finished(tmp_path: Path, sending: Sending) -> None:
    template = RequestTemplate(
        "part",
        "POST",
        "/upload",
        body_length=200_000,
        sending=sending,
        expect=Expectation(answer=Answer.ANY),
    )
    with witness(tmp_path) as (port, notes):
        result = load(scenario_of(template, timeout_s=0.2), port, 4, drain_s=0.1)
    assert result.failures == {}
    assert result.responses == 0
    assert seen(notes)["bytes"] == (4 * 100_000 if sending is Sending.HALF else 0)


def test_values_differ_between_connections_and_are_checked(tmp_path: Path) -> None:
    template = replace(GET, target="/baseline11?a={RAND:100:999}&b={SEQ:5}")
    with witness(tmp_path) as (port, notes):
        result = load(scenario_of(template, requests_per_connection=3), port, 8)
    assert result.failures == {}, result.examples
    assert result.bodies_checked == result.ok
    targets = seen(notes)["targets"]
    assert isinstance(targets, list)
    counters = [int(target.rpartition("=")[2]) for target in targets]
    assert min(counters) == 5
    # Each number belongs to one connection: three requests of it, unless the end came between.
    assert max(counters.count(number) for number in set(counters)) <= 3
    assert len({target.partition("&")[0] for target in targets}) > 8


def test_a_cached_answer_is_seen(tmp_path: Path) -> None:
    template = replace(GET, target="/cached?a={RAND:100:999}&b=1")
    with witness(tmp_path) as (port, _):
        result = load(scenario_of(template), port, 8)
    assert result.failures.get("wrong_body", 0) > 0


def test_connections_come_from_several_addresses(tmp_path: Path) -> None:
    with witness(tmp_path) as (port, notes):
        result = load(scenario_of(GET), port, 20, sources=("127.0.0.2", "127.0.0.3"), per_source=10)
    assert result.failures == {}
    assert seen(notes)["peers"] == {"127.0.0.2": 10, "127.0.0.3": 10}


def test_raw_templates_and_a_profile_string_run_unchanged(
    diagnose: Diagnose, tmp_path: Path
) -> None:
    folder = tmp_path / "requests"
    folder.mkdir()
    (folder / "get.raw").write_bytes(
        b"GET /baseline11?a={RAND:1:99}&b=42 HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"
    )
    (folder / "post.raw").write_bytes(
        b"POST /baseline11?a=13&b=42 HTTP/1.1\r\nHost: localhost:8080\r\n"
        b"Content-Length: 2\r\n\r\n20"
    )
    outcome = diagnose(
        *("run", "1|10||16,32|", "--raw", "requests", "-d", "1", "--warmup", "0.2"),
        *("--port", "0", "--json", "--profile", "none", "--", *reference()),
    )
    figures = outcome.run["figures"]
    assert outcome.run["connections"] == 16
    assert figures["errors"] == 0
    # Ten requests on each connection, as the profile string says.
    assert figures["responses_per_connection"] == pytest.approx(10, rel=0.1)
    assert "wrong_answers" not in outcome.found


def test_raw_without_a_scenario(diagnose: Diagnose, tmp_path: Path) -> None:
    (tmp_path / "get.raw").write_bytes(b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n")
    outcome = diagnose(
        *("run", "--raw", "get.raw", "-c", "8", "-d", "1", "--warmup", "0.2", "--port", "0"),
        *("--json", "--profile", "none", "--", *reference()),
    )
    assert outcome.run["figures"]["errors"] == 0
    assert outcome.run["figures"]["responses"] > 0
