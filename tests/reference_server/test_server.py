"""The server as a user runs it: real processes, sockets and bytes, and a deadline on each step."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
DEADLINE = 5.0
MIB = 1024 * 1024
# Fragments arrive this far apart when an entry is validated.
PAUSE = 0.03

TARGET = b" /baseline11?a=13&b=42 HTTP/1.1\r\nHost: x\r\n"


class Server:
    """A running server; stopped, and checked to leave nothing behind, at the end of a test."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reference_server", "--port", "0", *arguments],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        listening = re.search(r"listening on \S+:(\d+)", line)
        assert listening is not None, line
        self.port = int(listening[1])
        self.request(b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n")

    def connect(self) -> socket.socket:
        connection = socket.create_connection((HOST, self.port), timeout=DEADLINE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def request(self, *parts: bytes) -> tuple[int, bytes, bytes]:
        """Status, head and body of the response to one request sent in parts."""
        with self.connect() as connection:
            for number, part in enumerate(parts):
                if number:
                    time.sleep(PAUSE)
                connection.sendall(part)
            return read_response(connection)

    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def rss(self) -> int:
        text = [
            Path(f"/proc/{pid}/status").read_text() for pid in (self.process.pid, *self.workers())
        ]
        return sum(int(re.findall(r"VmRSS:\s+(\d+)", each)[0]) * 1024 for each in text)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        pids = [self.process.pid, *self.workers()]
        started = time.monotonic()
        self.process.send_signal(number)
        try:
            assert self.process.wait(DEADLINE) == 0
            assert time.monotonic() - started < 2.0
            wait_until(lambda: not any(alive(pid) for pid in pids))
            with pytest.raises(ConnectionRefusedError):
                self.connect()
        finally:
            self.close()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "nothing happened before the deadline"
        time.sleep(0.01)


def read_response(connection: socket.socket) -> tuple[int, bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        assert received, f"the connection ended after {data!r}"
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    assert length is not None
    while len(body) < int(length[1]):
        received = connection.recv(65536)
        assert received, "the connection ended inside the body"
        body += received
    return int(head.split()[1]), head, body


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[Server]:
    server = Server(*arguments)
    try:
        yield server
    except BaseException:
        server.close()
        raise
    server.stop()


@pytest.fixture(scope="module")
def healthy() -> Iterator[Server]:
    with running("--workers", "2") as server:
        yield server


@pytest.mark.parametrize(
    ("parts", "status", "body"),
    [
        ([b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n"], 200, b"ok"),
        ([b"GET" + TARGET + b"\r\n"], 200, b"55"),
        ([b"GET /baseline2?a=20&b=22 HTTP/1.1\r\nHost: x\r\n\r\n"], 200, b"42"),
        ([b"POST" + TARGET + b"Content-Length: 2\r\n\r\n20"], 200, b"75"),
        ([b"POST" + TARGET + b"Content-Length: 3\r\n\r\n100"], 200, b"155"),
        (
            [b"POST" + TARGET + b"Transfer-Encoding: chunked\r\n\r\n2\r\n20\r\n0\r\n\r\n"],
            200,
            b"75",
        ),
        ([b"GE", b"T /baseline11?a=1", b"3&b=42 HTTP/1.1\r\nHost: x\r\n\r\n"], 200, b"55"),
        ([b"GET /baseline11?a=13&b=42 HTTP/1.1\r\n", b"Host: x\r\n\r\n"], 200, b"55"),
        ([b"POST" + TARGET + b"Content-Length: 2\r\n\r\n", b"20"], 200, b"75"),
        ([b"POST" + TARGET + b"Content-Length: 2\r\n\r\n2", b"0"], 200, b"75"),
        (
            [b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n", b"x" * 17],
            200,
            b"17",
        ),
        (
            [b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n", bytes(500_000)],
            200,
            b"500000",
        ),
        ([b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"], 404, b"Not Found"),
        ([b"PUT" + TARGET + b"\r\n"], 405, b"Method Not Allowed"),
        ([b"GET /baseline11?a=x HTTP/1.1\r\nHost: x\r\n\r\n"], 400, b"Bad Request"),
        ([b"POST" + TARGET + b"Content-Length: 2\r\n\r\nxy"], 400, b"Bad Request"),
        ([b"FOO /baseline11 HTTP/1.1\r\nHost: x\r\n\r\n"], 400, b"Bad Request"),
    ],
)
def test_endpoint_answers(healthy: Server, parts: list[bytes], status: int, body: bytes) -> None:
    found, head, content = healthy.request(*parts)
    assert (found, content) == (status, body)
    assert b"\r\nContent-Type: text/plain\r\n" in head + b"\r\n"


@pytest.mark.parametrize(("path", "count"), [(b"/json", 50), (b"/json/5?m=7", 5)])
def test_json_is_answered(healthy: Server, path: bytes, count: int) -> None:
    status, head, body = healthy.request(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = json.loads(body)
    assert status == 200
    assert b"\r\nContent-Type: application/json\r\n" in head + b"\r\n"
    assert answer["count"] == len(answer["items"]) == count


def test_connection_is_kept_and_pipelined(healthy: Server) -> None:
    with healthy.connect() as connection:
        for _ in range(3):
            connection.sendall(b"GET" + TARGET + b"\r\n")
            assert read_response(connection)[2] == b"55"
        connection.sendall(b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n" * 16)
        data = b""
        while data.count(b"\r\n\r\nok") < 16:
            received = connection.recv(65536)
            assert received
            data += received
    assert data.count(b"HTTP/1.1 200 OK") == 16


def test_upload_that_expects_to_be_told_to_continue(healthy: Server) -> None:
    with healthy.connect() as connection:
        connection.sendall(
            b"POST /upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"12345")
        assert read_response(connection)[2] == b"5"


def uploads_in_flight(server: Server, count: int, size: int) -> int:
    """What memory grew by when all but the last byte of `count` bodies had arrived."""
    before = server.rss()
    head = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    data = head + bytes(size - 1)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(count)]
        senders = [threading.Thread(target=each.sendall, args=(data,)) for each in connections]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(DEADLINE)
            assert not sender.is_alive()
        grown = server.rss() - before
        for each in connections:
            each.sendall(b"\0")
        answers = {read_response(each)[2] for each in connections}
    assert answers == {b"%d" % size}
    return grown


def test_memory_stays_flat_under_uploads(healthy: Server) -> None:
    assert uploads_in_flight(healthy, 64, 5 * MIB) < 32 * MIB


def test_buffered_body_holds_what_is_in_flight() -> None:
    with running("--fault", "buffered_body", "--workers", "2") as server:
        # Some of the last bytes may still be in socket buffers.
        assert uploads_in_flight(server, 32, 5 * MIB) > 0.7 * 32 * 5 * MIB


def test_connection_close_closes_after_each_response() -> None:
    with running("--fault", "connection_close") as server, server.connect() as connection:
        connection.sendall(b"GET" + TARGET + b"\r\n")
        status, head, body = read_response(connection)
        assert (status, body) == (200, b"55")
        assert b"\r\nConnection: close" in head
        assert connection.recv(1) == b""


def test_single_process_is_one_process_with_one_thread() -> None:
    with running("--fault", "single_process", "--workers", "4") as server:
        assert server.workers() == []
        assert len(os.listdir(f"/proc/{server.process.pid}/task")) == 1


def test_connections_are_spread_over_the_workers(healthy: Server) -> None:
    def sockets(pid: int) -> int:
        names = []
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                names.append(str(each.readlink()))
        return sum(name.startswith("socket:") for name in names)

    before = {pid: sockets(pid) for pid in healthy.workers()}
    assert len(before) == 2
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            connection = stack.enter_context(healthy.connect())
            connection.sendall(b"GET" + TARGET + b"\r\n")
            assert read_response(connection)[0] == 200
        opened = [sockets(pid) - count for pid, count in before.items()]
    # The kernel hashes addresses: fewer than 12 of 64 happens less than once in a million.
    assert min(opened) >= 12


def test_dead_worker_is_replaced() -> None:
    with running("--workers", "2") as server:
        first = server.workers()
        time.sleep(0.6)  # Younger workers that die are taken for broken ones.
        os.kill(first[0], signal.SIGKILL)
        wait_until(lambda: len(server.workers()) == 2 and first[0] not in server.workers())
        for _ in range(16):
            assert server.request(b"GET" + TARGET + b"\r\n")[2] == b"55"


def test_workers_die_with_their_parent() -> None:
    server = Server("--workers", "2")
    workers = server.workers()
    server.close()
    assert len(workers) == 2
    wait_until(lambda: not any(alive(pid) for pid in workers))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_does_not_wait_for_clients(number: signal.Signals) -> None:
    server = Server("--workers", "2")
    with server.connect() as idle, server.connect() as busy:
        busy.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123")
        server.stop(number)  # Asserts that it takes less than two seconds.
        assert idle.recv(1) == b""


def test_port_in_use_is_reported() -> None:
    with running("--workers", "1") as server:
        second = subprocess.run(
            [sys.executable, "-m", "reference_server", "--port", str(server.port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
    assert second.returncode == 2
    assert f"cannot listen on {HOST}:{server.port}" in second.stderr
