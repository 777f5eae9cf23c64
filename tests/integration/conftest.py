"""Runs `diagnose` as a user does, with a deadline, and sees that nothing of it is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DEADLINE_S = 90.0
MARK = "DIAGNOSE_TEST_RUN"
ODD_SERVER = Path(__file__).with_name("odd_server.py")


def odd(*options: str) -> list[str]:
    """The command of the server that goes wrong."""
    return [sys.executable, str(ODD_SERVER), "$PORT", *options]


def reference(*options: str) -> list[str]:
    """The command of the reference server."""
    return [sys.executable, "-m", "reference_server", "--port", "$PORT", *options]


def program(name: str) -> str:
    """The path of a program; without it the test is skipped, in CI it fails."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed, and .ci/run should have installed it")
        pytest.skip(f"{name} is not installed")
    return path


@dataclass(frozen=True)
class Outcome:
    """What a finished `diagnose` left."""

    status: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON of --json."""
        assert self.stdout, f"status {self.status}, no output:\n{self.stderr}"
        parsed: dict[str, Any] = json.loads(self.stdout)
        return parsed

    @property
    def run(self) -> dict[str, Any]:
        """The only run of --json."""
        (only,) = self.document["runs"]
        parsed: dict[str, Any] = only
        return parsed

    @property
    def found(self) -> set[str]:
        """Ids of what was found."""
        return {item["id"] for item in self.run["findings"] if item["verdict"] == "found"}

    @property
    def blamed(self) -> set[str]:
        """Ids of causes and symptoms that were found: what is said about the server."""
        return {
            item["id"]
            for item in self.run["findings"]
            if item["verdict"] == "found" and item["kind"] != "validity"
        }

    def finding(self, name: str) -> dict[str, Any]:
        """One finding."""
        (only,) = [item for item in self.run["findings"] if item["id"] == name]
        parsed: dict[str, Any] = only
        return parsed


class Diagnose:
    """Starts `diagnose` in a folder of its own; every process of it carries a mark."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.runs = home / "runs"
        self.mark = uuid.uuid4().hex
        self.environment = {**os.environ, MARK: self.mark, "COLUMNS": "120", "NO_COLOR": "1"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """In the background."""
        return subprocess.Popen(
            [sys.executable, "-m", "diagnose", *arguments],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str], deadline_s: float = DEADLINE_S) -> Outcome:
        """Wait for its end."""
        try:
            stdout, stderr = process.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            pytest.fail(f"not over after {deadline_s} s:\n{stdout}\n{stderr}")
        return Outcome(process.returncode, stdout, stderr)

    def __call__(self, *arguments: str) -> Outcome:
        """Run to the end."""
        return self.finish(self.start(*arguments))

    def run(self, scenario: str, command: Sequence[str], *options: str) -> Outcome:
        """`diagnose run --json` on a free port, unprofiled, with short phases and no pictures."""
        return self(
            *("run", scenario, "--port", "0", "--json", "--profile", "none"),
            *("--warmup", "0.3", "--idle", "0.4", "--cooldown", "0.4", "--no-report", *options),
            *("--", *command),
        )

    def directory(self) -> Path:
        """The only run directory."""
        (only,) = self.runs.iterdir()
        return only

    def wait_for_phase(self, name: str, deadline_s: float = 30.0) -> None:
        """Until the run has entered a phase."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            for manifest in self.runs.glob("*/run.json"):
                phases = [span["name"] for span in json.loads(manifest.read_text())["phases"]]
                if name in phases:
                    return
            time.sleep(0.02)
        pytest.fail(f"phase {name} did not begin within {deadline_s} s")

    def left_running(self) -> dict[int, str]:
        """PIDs with the mark, and their command lines."""
        found: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                if f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes():
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if line:
                        found[int(entry.name)] = line
            except OSError:
                continue
        return found

    def check_nothing_left(self, patience_s: float = 8.0) -> None:
        """Fails, after ending them, when processes with the mark go on running."""
        end = time.monotonic() + patience_s
        while (left := self.left_running()) and time.monotonic() < end:
            time.sleep(0.05)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left


@pytest.fixture
def diagnose(tmp_path: Path) -> Iterator[Diagnose]:
    """A user's session: at its end nothing is left, no process and no temporary file."""
    session = Diagnose(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    session.environment["TMPDIR"] = str(scratch)
    yield session
    session.check_nothing_left()
    assert [item.name for item in scratch.iterdir() if item.name.startswith("diagnose-")] == []


def free_port() -> int:
    """A port that was free a moment ago."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many different ones: asked for one by one, the same may come twice."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]


def listens(port: int) -> bool:
    """Somebody accepts connections there."""
    with socket.socket() as sock:
        sock.settimeout(1.0)
        return sock.connect_ex(("127.0.0.1", port)) == 0
