"""The server as a user runs it: real processes, sockets and bytes, and a deadline on each step."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import brotli
import pytest

from reference_server.dataset import make_items
from reference_server.static_files import SIZES
from tests.reference_server.running_server import (
    DEADLINE,
    HOST,
    MIB,
    PAUSE,
    ROOT,
    Server,
    alive,
    read_response,
    running,
    wait_until,
)

pytestmark = [pytest.mark.integration, pytest.mark.alone]

TARGET = b" /baseline11?a=13&b=42 HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def healthy() -> Iterator[Server]:
    with running("--workers", "2", "--tls-port", "0") as server:
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
        ([b"FOO /baseline11 HTTP/1.1\r\nHost: x\r\n\r\n"], 405, b"Method Not Allowed"),
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


def settle(connections: Sequence[socket.socket]) -> None:
    """Waits until the server's kernel has everything, and then until the server had its turns."""
    deadline = time.monotonic() + DEADLINE
    while any(unsent(each) for each in connections):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.5)


def unsent(connection: socket.socket) -> int:
    """Bytes that the other end has not acknowledged."""
    return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


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
        settle(connections)
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


def test_accepted_encoding_decides_the_form(healthy: Server) -> None:
    plain = healthy.get("/json/50?m=6")[2]
    for asked, coding, decode in (
        ("gzip", b"gzip", gzip.decompress),
        ("gzip, br", b"gzip", gzip.decompress),
        ("br;q=1.0, gzip;q=0.8", b"br", brotli.decompress),
    ):
        status, head, body = healthy.get("/json/50?m=6", f"Accept-Encoding: {asked}")
        assert status == 200
        assert b"\r\nContent-Encoding: " + coding in head
        assert b"\r\nContent-Type: application/json\r\n" in head
        assert len(body) < len(plain)
        assert decode(body) == plain
    assert b"Content-Encoding" not in healthy.get("/json/50?m=6", "Accept-Encoding: zstd")[1]


def test_compression_is_a_megabyte_in_less_than_half(healthy: Server) -> None:
    status, head, body = healthy.get("/compression", "Accept-Encoding: gzip")
    assert status == 200
    assert b"\r\nContent-Encoding: gzip" in head
    assert len(body) < 500_000
    content = gzip.decompress(body)
    assert 900_000 < len(content) < 1_200_000
    answer = json.loads(content)
    assert answer["count"] == len(answer["items"]) == 6_000
    for item in answer["items"]:
        assert item["total"] == round(item["price"] * item["quantity"], 2)
    _, head, body = healthy.get("/compression")
    assert b"Content-Encoding" not in head
    assert body == content


def test_database_has_its_rows(healthy: Server) -> None:
    items = make_items(100_000)
    for low, high, limit in ((10, 50, 50), (20, 21, 3), (499, 500, 50), (600, 700, 50)):
        status, _, body = healthy.get(f"/db?min={low}&max={high}&limit={limit}")
        expected = [item for item in items if low <= item["price"] <= high][:limit]
        assert status == 200
        assert json.loads(body) == {"items": expected, "count": len(expected)}
    assert healthy.get("/db?min=cheap")[0] == 400


@pytest.mark.skipif("DATABASE_URL" in os.environ, reason="there is a database")
def test_without_a_database_there_are_no_rows(healthy: Server) -> None:
    status, _, body = healthy.get("/async-db?min=10&max=50&limit=20")
    assert (status, json.loads(body)) == (200, {"items": [], "count": 0})


@pytest.mark.parametrize("name", SIZES)
def test_static_file_has_its_size(healthy: Server, name: str) -> None:
    status, _, body = healthy.get(f"/static/{name}")
    assert (status, len(body)) == (200, SIZES[name])


@pytest.mark.parametrize(
    "path", ["/static/../endpoints.py", "/static/%2e%2e/items.db", "/static/x"]
)
def test_other_files_are_not_served(healthy: Server, path: str) -> None:
    assert healthy.get(path)[0] == 404


HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
# RFC 6455, 5.7: "Hello", masked, and as it comes back.
MASKED_HELLO = bytes.fromhex("818537fa213d7f9f4d5158")
HELLO = bytes.fromhex("810548656c6c6f")


def receive_until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        received = connection.recv(65536)
        assert received, f"the connection ended after {data!r}"
        data += received
    return data


@pytest.mark.parametrize("tls", [False, True])
def test_websocket_echoes(healthy: Server, tls: bool) -> None:
    with healthy.connect_tls() if tls else healthy.connect() as connection:
        connection.sendall(HANDSHAKE + MASKED_HELLO)
        head = receive_until(connection, HELLO)
        assert head.startswith(b"HTTP/1.1 101 ")
        connection.sendall(MASKED_HELLO * 16)
        assert receive_until(connection, HELLO * 16) == HELLO * 16
        for byte in MASKED_HELLO:
            connection.sendall(bytes([byte]))
        assert receive_until(connection, HELLO) == HELLO
        # More than a client that does not read can leave in the buffers of both sides.
        large = b"\x82\xff" + (1_000_000).to_bytes(8) + bytes(4) + b"x" * 1_000_000
        sender = threading.Thread(target=connection.sendall, args=(large * 8,))
        sender.start()
        echoed = 0
        while echoed < 8 * (1_000_000 + 10):
            received = connection.recv(1 << 20)
            assert received
            echoed += len(received)
        sender.join(DEADLINE)
        assert not sender.is_alive()
        connection.sendall(bytes.fromhex("88820000000003e8"))
        assert receive_until(connection, b"\x88\x02\x03\xe8") == b"\x88\x02\x03\xe8"
        assert connection.recv(1) == b""


def test_websocket_is_told_when_the_server_stops() -> None:
    server = Server("--workers", "1")
    with server.connect() as connection:
        connection.sendall(HANDSHAKE)
        receive_until(connection, b"\r\n\r\n")
        server.stop()
        assert connection.recv(100) == b"\x88\x02" + (1001).to_bytes(2)
        assert connection.recv(1) == b""


def test_tls_port_serves_the_same(healthy: Server) -> None:
    with healthy.connect_tls() as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
        for _ in range(2):
            connection.sendall(b"GET" + TARGET + b"\r\n")
            assert read_response(connection)[2] == b"55"
        for part in (b"POST" + TARGET, b"Content-Length: 2\r\n\r\n", b"2", b"0"):
            time.sleep(PAUSE)
            connection.sendall(part)
        assert read_response(connection)[2] == b"75"
        connection.sendall(b"GET /compression HTTP/1.1\r\nHost: x\r\n\r\n")
        assert json.loads(read_response(connection)[2])["count"] == 6_000
        size = 20 * MIB
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        connection.sendall(bytes(size))
        assert read_response(connection)[2] == b"%d" % size


def test_each_port_survives_the_protocol_of_the_other(healthy: Server) -> None:
    for port, data in (
        (healthy.tls_port, b"GET" + TARGET + b"\r\n"),
        (healthy.port, b"\x16\x03\x01"),
    ):
        with socket.create_connection((HOST, port), timeout=DEADLINE) as connection:
            connection.sendall(data + b"\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1000):
                pass
    assert healthy.get("/pipeline")[2] == b"ok"
    with healthy.connect_tls() as tls:
        tls.sendall(b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_response(tls)[2] == b"ok"


def test_noise_costs_only_the_connections_it_came_on(healthy: Server) -> None:
    source = random.Random(256)
    noise: list[Callable[[], bytes]] = [
        lambda: source.randbytes(256),
        lambda: b"POST" + TARGET + b"Content-Length: 999\r\n\r\n",
        lambda: b"GET /unknown-path HTTP/1.1\r\nHost: x\r\n\r\n",
        lambda: HANDSHAKE + source.randbytes(256),
    ]

    def descriptors() -> int:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in healthy.workers())

    before = descriptors(), healthy.workers()
    with contextlib.ExitStack() as stack, healthy.connect() as good:
        for number in range(200):
            connection = stack.enter_context(healthy.connect())
            connection.sendall(noise[number % len(noise)]())
            if number % 3 == 0:
                # The end of a connection is often a reset.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
            good.sendall(b"GET" + TARGET + b"\r\n")
            assert read_response(good)[2] == b"55"
    wait_until(lambda: descriptors() <= before[0])
    assert healthy.workers() == before[1]


@pytest.mark.parametrize("size", [48, 500_000, 2_000_000, 20 * MIB])
def test_upload_of_random_bytes_is_counted(healthy: Server, size: int) -> None:
    head = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    assert healthy.request(head, os.urandom(size))[2] == b"%d" % size


def test_files_that_cannot_be_made_are_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = subprocess.run(
        [sys.executable, "-m", "reference_server", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "file")},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert found.returncode == 2
    assert "XDG_CACHE_HOME" in found.stderr


def test_files_are_made_at_the_first_start(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    for _ in range(2):
        with running("--workers", "2", "--tls-port", "0", environment=environment) as server:
            assert json.loads(server.get("/db?min=10&max=50")[2])["count"] == 50
            assert len(server.get("/static/app.js")[2]) == SIZES["app.js"]
            with server.connect_tls() as connection:
                assert connection.getpeercert(binary_form=True)
        made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        (home,) = (tmp_path / "httparena-diagnose").iterdir()
        assert {path.name for path in home.iterdir()} == {"certificate", "items.db", "static"}
        key = home / "certificate" / "key.pem"
        assert key.stat().st_mode & 0o077 == 0 or key.parent.stat().st_mode & 0o077 == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == made


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
