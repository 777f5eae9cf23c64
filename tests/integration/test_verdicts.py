"""The main job, small: healthy servers and one fault each, end to end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from reference_server.faults import load_fault
from tests.integration.conftest import Diagnose, odd, program, reference

pytestmark = pytest.mark.integration


def test_reference_server_is_healthy(diagnose: Diagnose) -> None:
    outcome = diagnose.run("baseline", reference(), "-c", "64", "-d", "2")
    # A busy machine may spoil the measurement; it never makes a healthy server guilty.
    assert outcome.blamed == set(), outcome.run["findings"]
    assert outcome.status == (4 if outcome.found else 0)
    figures = outcome.run["figures"]
    assert figures["responses"] > 100
    assert figures["errors"] == 0
    assert figures["rps"] == pytest.approx(figures["responses"] / figures["duration_s"], rel=0.01)
    assert figures["established"] == 64
    assert figures["peak_rss_bytes"] > 10 * 2**20
    assert 0 < figures["p50_s"] <= figures["p99_s"] <= figures["max_s"]


def test_run_directory_holds_the_whole_run(diagnose: Diagnose) -> None:
    outcome = diagnose.run("pipelined", reference(), "-c", "32", "-d", "2")
    directory = diagnose.directory()
    names = {path.name for path in directory.iterdir()}
    assert {
        *("run.json", "samples.jsonl", "load.jsonl", "load.json", "latency.hlog"),
        *("findings.json", "server.log"),
    } <= names
    manifest = json.loads((directory / "run.json").read_text())
    assert manifest["state"] == "complete"
    # A trial where another worker could help, a proof where one may have been the limit.
    phases = [span["name"] for span in manifest["phases"]]
    assert [name for name in phases if name not in ("trial", "proof")] == [
        *("launch", "idle", "probe", "connect", "warmup", "window", "drain", "cooldown")
    ]
    assert all(check["outcome"] == "pass" for check in manifest["probes"])
    moved = diagnose.home / "elsewhere"
    shutil.move(directory, moved)
    again = diagnose("report", str(moved), "--format", "json")
    assert again.status == 0, again.stderr
    assert again.run["figures"] == outcome.run["figures"]
    assert again.found == outcome.found


@pytest.mark.alone
@pytest.mark.parametrize(
    ("fault", "scenario", "connections", "expected"),
    [
        ("buffered_body", "upload-20mb", "32", "body_buffered"),
    ],
)
def test_fault_is_named(
    diagnose: Diagnose, fault: str, scenario: str, connections: str, expected: str
) -> None:
    outcome = diagnose.run(scenario, reference("--fault", fault), "-c", connections, "-d", "2.5")
    declared = load_fault(fault)
    assert expected in declared.true_findings
    assert expected in outcome.found, outcome.run["findings"]
    assert not outcome.found & set(declared.false_findings)
    assert outcome.status == 1
    evidence = outcome.finding(expected)["evidence"]
    assert evidence
    assert all((diagnose.directory() / row["source"]).exists() for row in evidence)


@pytest.mark.alone
def test_reference_memory_stays_flat_under_uploads(diagnose: Diagnose) -> None:
    outcome = diagnose.run("upload-20mb", reference(), "-c", "64", "-d", "2")
    figures = outcome.run["figures"]
    assert figures["memory_peak_bytes"] - figures["memory_baseline_bytes"] < 64 * 2**20
    assert outcome.finding("body_buffered")["verdict"] == "clear"
    assert "memory_blowup" not in outcome.found


def test_nginx_is_healthy(diagnose: Diagnose, tmp_path: Path) -> None:
    nginx = program("nginx")
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"""daemon off; worker_processes 2; pid {tmp_path}/nginx.pid;
error_log stderr; events {{ worker_connections 4096; }}
http {{ access_log off; default_type text/plain; keepalive_requests 100000000;
  client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
  fastcgi_temp_path {tmp_path}/fastcgi; uwsgi_temp_path {tmp_path}/uwsgi;
  scgi_temp_path {tmp_path}/scgi;
  server {{ listen 127.0.0.1:PORT reuseport;
    location /pipeline {{ return 200 "ok"; }} }} }}
"""
    )
    command = f"sed s/PORT/$PORT/ {config} > {config}.used && exec {nginx} -c {config}.used"
    outcome = diagnose.run("pipelined", ["sh", "-c", command], "-c", "64", "-d", "2", "-p", "4")
    # A busy machine may spoil the measurement; it never makes a healthy server guilty.
    assert outcome.blamed == set(), outcome.run["findings"]
    assert outcome.status == (4 if outcome.found else 0)
    manifest = json.loads((diagnose.directory() / "run.json").read_text())
    assert "nginx" in manifest["launch"]["runtimes"].values()


def test_several_connection_counts_give_a_run_each(diagnose: Diagnose) -> None:
    outcome = diagnose.run(
        "limited-conn", reference(), "-c", "4,16", "-d", "1.2", "--warmup", "0.2"
    )
    assert [run["connections"] for run in outcome.document["runs"]] == [4, 16]
    for run in outcome.document["runs"]:
        assert run["figures"]["responses_per_connection"] == pytest.approx(10, rel=0.2)
        assert run["figures"]["reconnects"] > 0
        closed = [item for item in run["findings"] if item["id"] == "connection_closed"]
        assert closed[0]["verdict"] == "clear"


def test_slow_but_honest_handler_is_not_hung(diagnose: Diagnose) -> None:
    outcome = diagnose.run(
        "baseline",
        odd("--delay", "1.2"),
        *("-c", "8", "-d", "1.1", "--timeout", "3"),
    )
    assert outcome.finding("hung")["verdict"] == "clear"
    assert "errors" not in outcome.found
    assert "crashed" not in outcome.found


def test_profile_names_the_hot_frames(diagnose: Diagnose) -> None:
    outcome = diagnose.run(
        "baseline",
        reference("--workers", "1"),
        *("-c", "32", "-d", "1", "--profile", "py_spy", "--profile-duration", "2"),
    )
    manifest = json.loads((diagnose.directory() / "run.json").read_text())
    notes = manifest["profiles"]
    assert notes, outcome.stderr
    assert notes[0]["profiler"] == "py_spy"
    if not notes[0]["file"]:
        pytest.fail(f"no profile: {notes[0]['remedy']}")
    folded = (diagnose.directory() / "profiles" / notes[0]["file"]).read_text()
    assert "http11.py" in folded
    assert manifest["profiled_rps"] > 0
