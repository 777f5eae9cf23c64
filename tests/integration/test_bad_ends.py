"""Servers that die, hang or never get ready; users who interrupt; diagnose killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.conftest import (
    ODD_SERVER,
    Diagnose,
    free_port,
    listens,
    odd,
    reference,
)

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("option", "said"), [("--die-after", "exit status 7"), ("--kill-after", "SIGKILL")]
)
def test_server_that_dies_under_load(diagnose: Diagnose, option: str, said: str) -> None:
    outcome = diagnose.run("baseline", odd(option, "3000"), "-c", "16", "-d", "4")
    assert outcome.status == 3
    assert "crashed" in outcome.found
    assert said in outcome.finding("crashed")["claim"]
    manifest = json.loads((diagnose.directory() / "run.json").read_text())
    assert manifest["end"]["when"] in ("trial", "warmup", "window")
    if option == "--die-after":
        assert "odd_server: out of luck" in manifest["end"]["log_tail"]


def test_server_that_hangs_after_n_requests(diagnose: Diagnose) -> None:
    outcome = diagnose.run(
        "baseline", odd("--hang-after", "2000"), "-c", "16", "-d", "2", "--timeout", "2"
    )
    assert outcome.status == 1
    assert "hung" in outcome.found
    assert "crashed" not in outcome.found
    load = json.loads((diagnose.directory() / "load.json").read_text())
    assert load["unanswered"] == 16
    assert load["failures"]["timeout"] >= 16


def test_wrong_answers_are_seen_under_load(diagnose: Diagnose) -> None:
    outcome = diagnose.run("baseline", odd("--wrong-after", "500"), "-c", "8", "-d", "1.5")
    assert "wrong_answers" in outcome.found
    assert "99" in outcome.finding("wrong_answers")["claim"]
    assert outcome.status == 1


def test_server_that_never_answers(diagnose: Diagnose) -> None:
    outcome = diagnose.run("baseline", odd("--no-answer"), "--ready-timeout", "3")
    assert outcome.status == 3
    assert "not ready after 3 s" in outcome.stderr
    assert "no answer within" in outcome.stderr


def test_server_on_another_port(diagnose: Diagnose) -> None:
    port = free_port()
    command = [sys.executable, str(ODD_SERVER), str(port)]
    outcome = diagnose.run("baseline", command, "--ready-timeout", "2")
    assert outcome.status == 3
    assert f"127.0.0.1:{port}" in outcome.stderr
    assert "--port" in outcome.stderr


def test_server_that_exits_at_once(diagnose: Diagnose) -> None:
    outcome = diagnose.run("baseline", ["sh", "-c", "echo cannot bind >&2; exit 5"])
    assert outcome.status == 3
    assert "status 5" in outcome.stderr
    assert "cannot bind" in outcome.stderr


def test_port_in_use_names_the_holder(diagnose: Diagnose) -> None:
    port = free_port()
    with subprocess.Popen([sys.executable, str(ODD_SERVER), str(port)]) as holder:
        try:
            for _ in range(100):
                if listens(port):
                    break
                time.sleep(0.05)
            outcome = diagnose("run", "baseline", "--port", str(port), "--", *odd())
        finally:
            holder.kill()
    assert outcome.status == 2
    assert f"PID {holder.pid}" in outcome.stderr
    assert not diagnose.runs.exists()


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        *(("launch", "none"), ("idle", "none"), ("probe", "none"), ("connect", "none")),
        *(("load", "some"), ("profile", "whole"), ("cooldown", "whole")),
    ],
)
def test_ctrl_c_in_each_phase(diagnose: Diagnose, phase: str, state: str) -> None:
    command = odd("--no-answer") if phase == "launch" else reference()
    connections = "2000" if phase == "connect" else "32"
    process = diagnose.start(
        *("run", "baseline", "--port", "0", "-c", connections, "-d", "1.5", "--warmup", "0.5"),
        *("--", *command),
    )
    diagnose.wait_for_phase(phase)
    time.sleep(0.1 if phase != "load" else 1.2)
    process.send_signal(signal.SIGINT)
    outcome = diagnose.finish(process, 30.0)
    assert outcome.status == 130, outcome.stderr
    assert "Traceback" not in outcome.stderr
    diagnose.check_nothing_left()
    directory = diagnose.directory()
    assert json.loads((directory / "run.json").read_text())["state"] == "interrupted"
    again = diagnose("report", str(directory))
    assert again.status == 0
    assert "partial run (interrupted)" in again.stdout
    if state == "whole":
        assert json.loads((directory / "load.json").read_text())["ok"] > 0
    if state != "none":
        assert (directory / "load.jsonl").stat().st_size > 0


def test_sigterm_ends_in_order(diagnose: Diagnose) -> None:
    process = diagnose.start("run", "baseline", "--port", "0", "-c", "16", "--", *reference())
    diagnose.wait_for_phase("load")
    process.send_signal(signal.SIGTERM)
    assert diagnose.finish(process, 30.0).status == 130
    diagnose.check_nothing_left()


@pytest.mark.parametrize("options", [(), ("--ignore-term",), ("--daemonize",)])
def test_kill_9_of_diagnose_leaves_nothing(diagnose: Diagnose, options: tuple[str, ...]) -> None:
    process = diagnose.start(
        "run", "baseline", "--port", "0", "-c", "16", "--profile", "none", "--", *odd(*options)
    )
    diagnose.wait_for_phase("load")
    time.sleep(1.0)
    assert len(diagnose.left_running()) >= 4
    os.kill(process.pid, signal.SIGKILL)
    diagnose.finish(process, 10.0)
    diagnose.check_nothing_left(15.0)
    directory = diagnose.directory()
    again = diagnose("report", str(directory), "--json")
    assert again.status == 0
    assert again.run["state"] == "running"
    assert (directory / "samples.jsonl").stat().st_size > 0
    assert (directory / "load.jsonl").stat().st_size > 0


def test_daemon_is_part_of_the_tree(diagnose: Diagnose) -> None:
    outcome = diagnose.run("baseline", odd("--daemonize"), "-c", "8", "-d", "1.5")
    assert "crashed" not in outcome.found
    assert outcome.run["figures"]["responses"] > 100
    assert outcome.run["figures"]["cpu_cores"] > 0.05
    diagnose.check_nothing_left(1.0)


def test_server_that_ignores_sigterm_is_killed(diagnose: Diagnose) -> None:
    outcome = diagnose.run("baseline", odd("--ignore-term"), "-c", "4", "-d", "1.2")
    assert outcome.run["state"] == "complete"
    diagnose.check_nothing_left(1.0)


def test_memory_limit_stops_the_server(diagnose: Diagnose) -> None:
    outcome = diagnose.run(
        *("upload-20mb", reference("--fault", "buffered_body")),
        *("-c", "32", "-d", "2", "--memory-limit", "200M"),
    )
    assert "memory_blowup" in outcome.found
    assert "200.0 MiB" in outcome.finding("memory_blowup")["claim"]
    manifest = json.loads((diagnose.directory() / "run.json").read_text())
    assert manifest["guard"]["tripped"] is True
    assert manifest["guard"]["at_bytes"] > 200 * 2**20


def test_attach_leaves_the_server_running(diagnose: Diagnose, tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen([sys.executable, str(ODD_SERVER), str(port)]) as server:
        try:
            for _ in range(100):
                if listens(port):
                    break
                time.sleep(0.05)
            outcome = diagnose(
                *("attach", "baseline", "--pid", str(server.pid), "--json", "-c", "8", "-d", "1.5"),
                *("--url", f"http://127.0.0.1:{port}", "--profile", "none"),
            )
            assert listens(port)
            assert server.poll() is None
        finally:
            server.kill()
    assert outcome.run["figures"]["responses"] > 100
    assert outcome.run["figures"]["cpu_cores"] > 0.05
    assert "crashed" not in outcome.found


def test_deadline_ends_the_run_with_what_it_has(diagnose: Diagnose) -> None:
    outcome = diagnose.run("baseline", reference(), "-c", "8", "-d", "30", "--deadline", "5")
    assert "too_few_samples" in outcome.found or outcome.run["figures"]["duration_s"] < 6
    manifest = json.loads((diagnose.directory() / "run.json").read_text())
    assert any("deadline" in note for note in manifest["notes"])
