"""The doctor on the machine that the tests run on, whatever machine that is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from diagnose.process_tree import children_of
from diagnose.server.doctor import judge
from diagnose.server.doctor.gather import gather
from tests.integration.conftest import Diagnose

pytestmark = [pytest.mark.integration, pytest.mark.alone]

NAME = "doctor-burner"
# It ends by itself, should the test be killed.
BURN = f"""
import time
with open("/proc/self/comm", "w") as file:
    file.write({NAME!r})
print(flush=True)
end = time.monotonic() + 60
while time.monotonic() < end:
    pass
"""


@pytest.fixture
def burner() -> Iterator[int]:
    """A process beside the doctor that keeps one core busy; its PID."""
    process = subprocess.Popen([sys.executable, "-c", BURN], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process.pid
    process.kill()
    process.communicate()


def test_the_command(diagnose: Diagnose) -> None:
    outcome = diagnose("doctor", "--json")
    document = outcome.document
    bad = [check["name"] for check in document["checks"] if check["outcome"] == "bad"]
    assert outcome.status == (4 if bad else 0), outcome.stderr
    assert document["spoiled"] == bool(bad)
    assert outcome.stderr == ""
    by_name = {check["name"]: check for check in document["checks"]}
    assert len(by_name) == len(document["checks"])
    for name in ("loopback", "schedstat", "time stamps"):
        # Every other integration test stands on these.
        assert by_name[name]["outcome"] == "ok"
    assert by_name["cores"]["value"].startswith(str(len(os.sched_getaffinity(0))))
    for name in ("descriptors", "local ports", "memory", "other load"):
        assert by_name[name]["outcome"] != "unknown"


def test_what_people_see(diagnose: Diagnose) -> None:
    outcome = diagnose("doctor", "--quick")
    assert outcome.status in (0, 4)
    lines = outcome.stdout.splitlines()
    assert any(line.startswith("unknown  other load") for line in lines)
    assert sum(line.startswith("VERDICT  ") for line in lines) == 1


def test_a_busy_neighbor_is_named(diagnose: Diagnose, burner: int) -> None:
    outcome = diagnose("doctor", "--json")
    (load,) = [check for check in outcome.document["checks"] if check["name"] == "other load"]
    assert load["outcome"] in ("warn", "bad")
    assert f"{NAME} ({burner})" in load["value"]


def test_nothing_is_left_behind() -> None:
    def held() -> tuple[int, list[int]]:
        return len(os.listdir("/proc/self/fd")), children_of(os.getpid())

    before = held()
    assert judge(gather(0.0))
    assert held() == before
