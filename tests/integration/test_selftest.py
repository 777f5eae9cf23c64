"""A self-test of a few servers, end to end."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.integration.conftest import Diagnose

pytestmark = pytest.mark.integration


# Healthy servers and edges, then faults: of the processes, the protocol, a lock.
HEALTHY = ("reference", "idle", "nginx_static", "go_net_http")
FAULTS = ("node_single", "connection_close", "go_global_lock")
DEADLINE_S = 240.0


@pytest.mark.alone
def test_faults_are_found_and_healthy_servers_are_not_blamed(
    diagnose: Diagnose, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    names = ",".join((*HEALTHY, *FAULTS))
    process = diagnose.start("selftest", "--only", names, "--passes", "1", "-o", str(kept))
    outcome = diagnose.finish(process, DEADLINE_S)
    document = json.loads((kept / "selftest.json").read_text())
    assert {run["case"] for run in document["runs"]} | set(document["not_run"]) == {
        *HEALTHY,
        *FAULTS,
    }
    if os.environ.get("CI"):
        assert not document["not_run"]
    assert not any(run["problem"] for run in document["runs"]), outcome.stdout
    # A busy machine may hold verdicts back; it never makes a healthy server guilty.
    assert all(rule["false"] == 0 for rule in document["rules"].values()), outcome.stdout
    assert all(rule["missed"] == 0 for rule in document["rules"].values()), outcome.stdout
    if all(run["valid"] for run in document["runs"]):
        assert all(rule["undecided"] == 0 for rule in document["rules"].values()), outcome.stdout
    assert document["rules"]["connection_closed"]["found"] == 1, outcome.stdout
    assert (kept / "confusion.png").stat().st_size > 1000
    assert "VERDICT" in outcome.stdout


def test_interrupted_selftest_keeps_what_it_has(diagnose: Diagnose, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    process = diagnose.start("selftest", "--only", "reference", "--passes", "2", "-o", str(kept))
    deadline = time.monotonic() + 60
    while not list(kept.glob("runs/*/run.json")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    outcome = diagnose.finish(process)
    assert outcome.status == 130
    assert "VERDICT" in outcome.stdout
    assert (kept / "selftest.json").exists()
    # The fixture sees to it that no server is left.
