"""Requests per client CPU second: the embedded generator against wrk, in interleaved pairs.

`python -m benchmarks.load [--pairs 5] [--seconds 3]`: nginx with one worker on CPU 0, the client on
CPU 1, every pair one after the other, so that drift of the machine meets both. Prints a Markdown
table of medians and of the ratio's median; absolute figures mean little on shared machines.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from diagnose.load.merge import merge
from diagnose.load.worker import Message
from diagnose.model.load import LoadPlan
from diagnose.model.scenario import Expectation, RequestTemplate, Scenario

SERVER_CPU, CLIENT_CPU = 0, 1
CONFIG = """daemon off; worker_processes 1; pid {home}/pid; error_log stderr;
events {{ worker_connections 20000; }}
http {{ access_log off; default_type text/plain; keepalive_requests 100000000;
  client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c;
  uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  server {{ listen 127.0.0.1:{port} backlog=16384; location / {{ return 200 "ok"; }} }} }}
"""
PIPELINE_SCRIPT = """local request = wrk.format("GET", "/pipeline")
local batch = string.rep(request, {depth})
request = function() return batch end
"""


@dataclass(frozen=True)
class Row:
    """One load: connections and pipeline depth."""

    name: str
    connections: int
    pipeline: int


ROWS = (
    Row("keep-alive, 64 connections", 64, 1),
    Row("keep-alive, 512 connections", 512, 1),
    Row("keep-alive, 4096 connections", 4096, 1),
    Row("pipelined 16, 512 connections", 512, 16),
)


def pinned(cpu: int) -> list[str]:
    """The prefix that keeps a command on a CPU."""
    return ["taskset", "-c", str(cpu)]


@contextmanager
def nginx() -> Iterator[int]:
    """A server on CPU 0; its port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    with tempfile.TemporaryDirectory() as home:
        config = Path(home) / "nginx.conf"
        config.write_text(CONFIG.format(home=home, port=port))
        server = subprocess.Popen([*pinned(SERVER_CPU), "nginx", "-c", str(config)])
        try:
            for _ in range(100):
                with socket.socket() as sock:
                    if sock.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield port
        finally:
            server.terminate()
            server.wait()


def run_wrk(row: Row, port: int, seconds: float) -> float:
    """Requests per CPU second of wrk."""
    command = [*pinned(CLIENT_CPU), "wrk", "-t1", f"-c{row.connections}", f"-d{seconds:.0f}s"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if row.pipeline > 1:
            script.write(PIPELINE_SCRIPT.format(depth=row.pipeline))
            script.flush()
            command += ["-s", script.name]
        before = os.times()
        result = subprocess.run(
            [*command, f"http://127.0.0.1:{port}/pipeline"],
            capture_output=True,
            text=True,
            check=True,
        )
        after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    match = re.search(r"(\d+) requests in", result.stdout)
    if match is None:
        raise SystemExit(f"cannot read wrk's report:\n{result.stdout}")
    return int(match[1]) / cpu


def run_ours(row: Row, port: int, seconds: float) -> float:
    """Requests per CPU second of the embedded generator, every answer checked."""
    expect = Expectation(body="ok", content_type="text/plain")
    scenario = Scenario(
        name="benchmark",
        title="",
        round="",
        templates=(RequestTemplate("get", "GET", "/pipeline", expect=expect),),
        connections=(row.connections,),
        pipeline=row.pipeline,
    )
    plan = LoadPlan("127.0.0.1", port, scenario, row.connections, 0, 1, 0.5, seconds, 2.0)
    worker = subprocess.Popen(
        [*pinned(CLIENT_CPU), sys.executable, "-m", "diagnose.load.worker", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(msgspec.json.encode(plan) + b"\ngo\n")
    worker.stdin.flush()
    reports = [
        message.report
        for line in worker.stdout
        if (message := msgspec.json.decode(line, type=Message)).report is not None
    ]
    worker.stdin.close()
    worker.wait()
    result = merge(plan, reports)
    if result.failed:
        raise SystemExit(f"failures: {result.failures} {result.examples}")
    return result.responses / result.workers[0].cpu_s


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    for program in ("nginx", "wrk", "taskset"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed")
    print("| load | ours, req/CPU s | wrk, req/CPU s | ours / wrk | pairs, min - max |")
    print("|---|---:|---:|---:|---:|")
    with nginx() as port:
        for row in ROWS:
            ours: list[float] = []
            wrk: list[float] = []
            for _ in range(options.pairs):
                ours.append(run_ours(row, port, options.seconds))
                wrk.append(run_wrk(row, port, options.seconds))
            ratios = [mine / other for mine, other in zip(ours, wrk, strict=True)]
            print(
                f"| {row.name} | {statistics.median(ours):,.0f} | {statistics.median(wrk):,.0f} "
                f"| {statistics.median(ratios):.2f} | {min(ratios):.2f} - {max(ratios):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
