"""Every fault as a user runs it: it starts, answers, and stops without leaving anything behind."""

from __future__ import annotations

import contextlib
import json
import select
from pathlib import Path

import psutil
import pytest

from reference_server.faults import fault_names
from tests.reference_server.running_server import (
    DEADLINE,
    Server,
    alive,
    read_response,
    running,
    wait_until,
)

pytestmark = pytest.mark.integration

SUM = b"GET /baseline11?a=13&b=42 HTTP/1.1\r\nHost: x\r\n\r\n"
CONNECTIONS = 20


def descendants(pid: int) -> list[int]:
    """The processes below one, whoever started them."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def names(pids: list[int]) -> list[str]:
    return [Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids]


@pytest.mark.parametrize("name", fault_names())
def test_fault_starts_answers_and_stops(name: str, tmp_path: Path) -> None:
    with running("--fault", name, "--workers", "2", environment={"TMPDIR": str(tmp_path)}) as it:
        assert it.get("/pipeline")[2] == b"ok"
        assert it.request(SUM)[2] == b"55"
        assert it.get("/nowhere")[0] == 404
        below = descendants(it.process.pid)
    wait_until(lambda: not any(alive(pid) for pid in below))
    assert list(tmp_path.iterdir()) == []


def taken(server: Server) -> list[int]:
    """How many of some connections, all of which got an answer, each worker had.

    Counted by their state and not by descriptors: a worker that answers nothing may still be
    starting, and open others.
    """
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(CONNECTIONS)]
        for connection in connections:
            connection.sendall(SUM)
            assert read_response(connection)[2] == b"55"
        return sorted(
            [each.status for each in psutil.Process(pid).net_connections("tcp")].count(
                psutil.CONN_ESTABLISHED
            )
            for pid in server.workers()
        )


def test_worker_imbalance_gives_all_connections_to_one_worker() -> None:
    with running("--fault", "worker_imbalance", "--workers", "3") as server:
        assert taken(server) == [0, 0, CONNECTIONS]


@pytest.mark.parametrize("name", ["slow_database", "pool_exhausted"])
def test_database_is_a_process_of_each_worker(name: str) -> None:
    with running("--fault", name, "--workers", "2") as server:
        wait_until(lambda: names(descendants(server.process.pid)).count("database") == 2)
        for path in ("/db?min=10&max=50", "/async-db?min=10&max=50&limit=5"):
            status, _, body = server.get(path)
            answer = json.loads(body)
            assert status == 200
            assert answer["count"] == len(answer["items"]) > 0
            assert all(10 <= item["price"] <= 50 for item in answer["items"])
        below = descendants(server.process.pid)
    wait_until(lambda: not any(alive(pid) for pid in below))


def test_database_ends_with_a_server_that_is_killed() -> None:
    server = Server("--fault", "slow_database", "--workers", "1")
    try:
        wait_until(lambda: "database" in names(descendants(server.process.pid)))
        below = descendants(server.process.pid)
    finally:
        server.close()
    wait_until(lambda: not any(alive(pid) for pid in below))


def test_thread_per_connection_has_threads_and_ends_them() -> None:
    with running("--fault", "thread_per_connection", "--workers", "1") as server:

        def threads() -> int:
            (pid,) = server.workers()
            return len(list(Path(f"/proc/{pid}/task").iterdir()))

        before = threads()
        connections = [server.connect() for _ in range(CONNECTIONS)]
        for connection in connections:
            connection.sendall(SUM)
            assert read_response(connection)[2] == b"55"
        assert threads() >= before + CONNECTIONS - 1
        for connection in connections:
            connection.close()
        wait_until(lambda: threads() <= 3)


def test_descriptor_limit_is_in_force() -> None:
    with running("--fault", "descriptor_limit", "--workers", "1") as server:
        (pid,) = server.workers()
        limits = Path(f"/proc/{pid}/limits").read_text()
        (line,) = [each for each in limits.splitlines() if each.startswith("Max open files")]
        assert line.split()[3] == "64"


def test_delayed_ack_sends_two_segments() -> None:
    with running("--fault", "delayed_ack", "--workers", "1") as server, server.connect() as line:
        for _ in range(100):
            line.sendall(SUM)
            data = line.recv(65536)
            if data.endswith(b"\r\n\r\n"):
                break
            # A new connection acknowledges at once, and head and body may be read together.
            assert data.endswith(b"\r\n\r\n55")
        else:
            pytest.fail("head and body always came together")
        # Nagle's algorithm keeps the body until the head is acknowledged.
        assert line.recv(65536) == b"55"


def test_connection_cap_lets_the_next_one_in() -> None:
    with running("--fault", "connection_cap", "--workers", "50") as server:
        # One for each worker: the second connection of a worker waits for the end of the first.
        connections = [server.connect() for _ in range(4 * CONNECTIONS)]
        for connection in connections:
            connection.sendall(SUM)
        while connections:
            readable, _, _ = select.select(connections, (), (), DEADLINE)
            assert readable
            for connection in readable:
                assert connection.recv(65536).endswith(b"\r\n\r\n55")
                connection.close()
                connections.remove(connection)
