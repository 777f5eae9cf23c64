"""wrk and h2load, started as their drivers say, against nginx, which keeps its own account."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from diagnose.load import drivers
from diagnose.load.drivers import DriverOutputError, DriverReport
from diagnose.model.scenario import Protocol, RequestTemplate, Scenario
from tests.integration.conftest import free_port, free_ports, listens, program

pytestmark = pytest.mark.integration

CONNECTIONS = 4
DURATION_S = 1.0
# h2load 1.52 does not end by itself when the server announces the end of connections.
PATIENCE_S = 2.0
GET = RequestTemplate("get", "GET", "/ok")
MISSING = RequestTemplate("missing", "GET", "/missing")
POST = RequestTemplate("post", "POST", "/ok", body="20")
UPLOAD = RequestTemplate("upload", "POST", "/upload", body_length=1 << 20)

CONFIGURATION = """\
daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 512; }}
http {{
  log_format account '$status $request_method $uri $request_length $http_host';
  access_log {home}/access.log account;
  keepalive_requests 100000000; client_max_body_size 4m; client_body_buffer_size 4m;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/f;
  uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  server {{
    listen 127.0.0.1:{plain};
    location /ok {{ return 200 ok; }}
    location /missing {{ return 404 no; }}
    location /close {{ keepalive_timeout 0; return 200 ok; }}
    location /drop {{ return 444; }}
    location /upload {{ proxy_pass http://127.0.0.1:{plain}/ok; }}
  }}
  server {{ listen 127.0.0.1:{h2c} http2; location / {{ return 200 ok; }} }}
  server {{
    listen 127.0.0.1:{tls} ssl http2;
    ssl_certificate {home}/cert.pem; ssl_certificate_key {home}/key.pem;
    location / {{ return 200 ok; }}
  }}
}}
"""


@dataclass
class Nginx:
    """Its ports and its account of requests."""

    home: Path
    plain: int
    h2c: int
    tls: int
    process: subprocess.Popen[bytes] | None = None

    def answered(self) -> list[list[str]]:
        """Requests as (status, method, path, length, host), those of the proxy to itself too.

        nginx writes a line after the response has gone: it is ended first, and is whole then.
        """
        self.end()
        lines = (self.home / "access.log").read_text().splitlines()
        return [line.split() for line in lines]

    def end(self) -> None:
        """Let it finish and exit. Source: nginx, Controlling nginx: QUIT is a graceful shutdown."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(10)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """nginx on free ports, ended at the end with nothing left listening."""
    home = tmp_path / "nginx"
    home.mkdir()
    subprocess.run(
        [
            *(program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-keyout", str(home / "key.pem")),
            *("-out", str(home / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    server = Nginx(home, *free_ports(3))
    ports = (server.plain, server.h2c, server.tls)
    text = CONFIGURATION.format(home=home, plain=ports[0], h2c=ports[1], tls=ports[2])
    (home / "nginx.conf").write_text(text)
    with (home / "said").open("wb") as said:
        server.process = process = subprocess.Popen(
            [program("nginx"), "-p", str(home), "-c", str(home / "nginx.conf")],
            stdout=said,
            stderr=said,
        )
    try:
        end = time.monotonic() + 10
        while not all(listens(port) for port in ports):
            assert process.poll() is None, (home / "said").read_text()
            assert time.monotonic() < end, "nginx does not listen"
            time.sleep(0.02)
        yield server
    finally:
        try:
            server.end()
        finally:
            process.kill()
            process.wait(10)
    assert not any(listens(port) for port in ports)


def scenario(*templates: RequestTemplate, **changes: Any) -> Scenario:
    """A scenario without a warm-up, so that the server counts the same requests."""
    return Scenario("small", "small", "", templates, (CONNECTIONS,), warmup_s=0.0, **changes)


def measure(name: str, wanted: Scenario, port: int, scratch: Path) -> DriverReport:
    """Run the driver's program as its command says; its report."""
    program(name)
    driver = drivers.driver(name)
    assert driver.judge(wanted, CONNECTIONS).refusal == ""
    scratch.mkdir()
    arguments = driver.command(wanted, CONNECTIONS, DURATION_S, "127.0.0.1", port, scratch, 2)
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        text, _ = process.communicate(timeout=DURATION_S + PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        text, _ = process.communicate()
    log = scratch / drivers.LOG_NAME
    return driver.parse(text, log.read_text() if log.exists() else "")


@pytest.mark.parametrize(
    ("name", "templates", "changes"),
    [
        pytest.param("wrk", (GET,), {}, id="wrk"),
        pytest.param("wrk", (GET,), {"pipeline": 16}, id="wrk pipelined"),
        pytest.param("wrk", (GET, POST, MISSING), {}, id="wrk rotation"),
        pytest.param("wrk", (GET, MISSING), {"pipeline": 5}, id="wrk rotation, pipelined"),
        pytest.param("h2load", (GET,), {}, id="h2load"),
        pytest.param("h2load", (GET, MISSING), {"pipeline": 4}, id="h2load rotation, pipelined"),
        pytest.param("h2load", (POST,), {}, id="h2load post"),
    ],
)
def test_it_sends_what_the_scenario_says_and_counts_as_the_server_does(
    nginx: Nginx,
    tmp_path: Path,
    name: str,
    templates: tuple[RequestTemplate, ...],
    changes: dict[str, Any],
) -> None:
    wanted = scenario(*templates, **changes)
    report = measure(name, wanted, nginx.plain, tmp_path / "scratch")
    answered = nginx.answered()
    assert report.responses > 100
    # The server also answers what is in flight when the time is over.
    in_flight = CONNECTIONS * wanted.pipeline
    assert report.responses <= len(answered) <= report.responses + 2 * in_flight
    assert sum(report.status.values()) == report.responses
    assert report.errors == {}
    assert report.duration_s == pytest.approx(DURATION_S, abs=0.9)
    kinds = Counter((method, path) for _, method, path, _, _ in answered)
    assert set(kinds) == {(template.method, template.target) for template in templates}
    # Each template has its share: connections may be served unevenly, requests in turn are not.
    assert min(kinds.values()) > len(answered) / len(templates) / 2
    assert {host for *_, host in answered} == {f"127.0.0.1:{nginx.plain}"}
    bad = sum(count for (_, path), count in kinds.items() if path == "/missing")
    assert report.responses - report.status["2xx"] == pytest.approx(bad, abs=2 * in_flight)
    # wrk times a batch; the last ones may have been under way.
    batch = wanted.pipeline if name == "wrk" else 1
    least = report.responses // batch - (CONNECTIONS if batch > 1 else 0)
    assert least <= report.latency.samples <= report.responses // batch
    assert report.histogram
    assert report.caveats == ()
    assert 0 < report.latency.p50_s <= report.latency.p99_s <= report.latency.max_s


@pytest.mark.parametrize("streams", [1, 8])
@pytest.mark.parametrize("tls", [False, True])
def test_http2(nginx: Nginx, tmp_path: Path, tls: bool, streams: int) -> None:
    wanted = scenario(GET, protocol=Protocol.H2, tls=tls, pipeline=streams)
    report = measure("h2load", wanted, nginx.tls if tls else nginx.h2c, tmp_path / "scratch")
    assert report.protocol == ("h2" if tls else "h2c")
    assert report.responses > 100
    answered = len(nginx.answered())
    assert report.responses <= answered <= report.responses + 2 * CONNECTIONS * streams
    load = drivers.result(report, wanted, CONNECTIONS, 1.0, 0.1, 0.0, (), "h2load")
    assert load.ok == report.status["2xx"]


@pytest.mark.parametrize("name", ["wrk", "h2load"])
def test_http1_over_tls(nginx: Nginx, tmp_path: Path, name: str) -> None:
    report = measure(name, scenario(GET, tls=True), nginx.tls, tmp_path / "scratch")
    assert report.responses > 100
    assert report.responses <= len(nginx.answered()) <= report.responses + 2 * CONNECTIONS


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("name", ["wrk", "h2load"])
def test_uploads_arrive_whole(nginx: Nginx, tmp_path: Path, name: str, chunked: bool) -> None:
    template = RequestTemplate("up", "POST", "/upload", body_length=1 << 20, chunked=chunked)
    report = measure(name, scenario(template), nginx.plain, tmp_path / "scratch")
    lengths = [int(row[3]) for row in nginx.answered() if row[2] == "/upload" and row[0] == "200"]
    assert report.status["2xx"] == report.responses
    assert 0 < report.responses <= len(lengths) <= report.responses + 2 * CONNECTIONS
    assert min(lengths) > 1 << 20


def test_h2load_keeps_to_the_rate_of_an_open_loop(nginx: Nginx, tmp_path: Path) -> None:
    measure("h2load", scenario(GET, rate=200.0), nginx.plain, tmp_path / "scratch")
    assert 100 <= len(nginx.answered()) <= 220


@pytest.mark.parametrize("name", ["wrk", "h2load"])
def test_responses_that_end_the_connection_are_counted(
    nginx: Nginx, tmp_path: Path, name: str
) -> None:
    template = RequestTemplate("close", "GET", "/close")
    report = measure(name, scenario(template), nginx.plain, tmp_path / "scratch")
    assert report.responses > 100
    assert len(nginx.answered()) >= report.responses


def test_wrk_counts_connections_that_end_without_a_response(nginx: Nginx, tmp_path: Path) -> None:
    template = RequestTemplate("drop", "GET", "/drop")
    report = measure("wrk", scenario(template), nginx.plain, tmp_path / "scratch")
    dropped = len(nginx.answered())
    assert report.responses == 0
    assert report.errors["closed_before_response"] == pytest.approx(dropped, abs=2 * CONNECTIONS)


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(DriverOutputError, match="Connection refused"):
        measure("wrk", scenario(GET), free_port(), tmp_path / "wrk")
    report = measure("h2load", scenario(GET), free_port(), tmp_path / "h2load")
    load = drivers.result(report, scenario(GET), CONNECTIONS, 1.0, 0.1, 0.0, (), "h2load")
    assert load.responses == 0
    assert "tells no reason" in "; ".join(load.caveats)
