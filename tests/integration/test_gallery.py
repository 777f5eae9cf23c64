"""Each case of the gallery that this machine can run starts, answers its requests, and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from diagnose.cli.options import adapt
from diagnose.load.probe import probes
from diagnose.model.scenario import Scenario
from diagnose.scenario.catalog import find_scenario
from reference_server.gallery import Case, Group, cases
from tests.integration.conftest import MARK, Diagnose, free_port, listens

pytestmark = pytest.mark.integration

START_S = 20.0
END_S = 10.0
ANSWER_S = 20.0


def distinct() -> list[Case]:
    """One case for each server and its requests, without the faults of the reference server, and
    without what needs modules from a directory that only the user knows."""
    seen: dict[object, Case] = {}
    for case in cases():
        if "--fault" not in case.command and not case.needs.node_modules:
            seen.setdefault((case.command, case.recipe, case.scenario, case.run_options), case)
    return list(seen.values())


@pytest.fixture(params=distinct(), ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    """Each case that can be run here; what .ci/run installs may not be missing in CI."""
    wanted: Case = request.param
    if missing := wanted.missing():
        if os.environ.get("CI") and wanted.group is not Group.WILD:
            pytest.fail("; ".join(missing))
        pytest.skip("; ".join(missing))
    return wanted


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory of builds for all tests, and for all processes that run them."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "gallery"


def requests_of(case: Case) -> Scenario:
    """The scenario as `diagnose run` would send it."""
    options = dict(zip(case.run_options[::2], case.run_options[1::2], strict=True))
    return adapt(find_scenario(case.scenario), path=options.get("--path"))


@contextmanager
def serving(case: Case, builds: Path, session: Diagnose) -> Iterator[int]:
    """The port of the running server; it is ended as `diagnose run` ends it."""
    port = free_port()
    log = session.home / "server.log"
    command = [word.replace("$PORT", str(port)) for word in case.prepare(builds)]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**session.environment, **case.environment, "PORT": str(port)},
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_S
        while not listens(port):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield port
    finally:
        end(server, session)


def end(server: subprocess.Popen[bytes], session: Diagnose) -> None:
    """The first process ends the others; those that it leaves are told as well.

    Not all at once: a master that sees its workers die first starts new ones. One that does not end
    in time is killed, as `diagnose run` does it: granian's did not once, on a busy machine.
    """
    try:
        server.terminate()
        server.wait(END_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    finally:
        # Each process of the server carries the mark of the session.
        for pid in session.left_running():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def test_case_answers_right_and_ends(case: Case, builds: Path, diagnose: Diagnose) -> None:
    assert MARK in diagnose.environment
    with serving(case, builds, diagnose) as port:
        checks = list(probes(requests_of(case), "127.0.0.1", port, ANSWER_S))
    whole = [check for check in checks if check.name == "plain"]
    assert whole
    assert [check for check in whole if check.outcome != "pass"] == []
    if case.healthy:
        assert [check for check in checks if check.outcome != "pass"] == []
        assert not any(check.closes for check in checks)
    diagnose.check_nothing_left()
    assert not listens(port)
