"""The server as a user runs it, and a client that waits for nothing longer than a deadline."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
DEADLINE = 5.0
MIB = 1024 * 1024
# Fragments arrive this far apart when an entry is validated.
PAUSE = 0.03


class Server:
    """A running server; stopped, and checked to leave nothing behind, at the end of a test."""

    def __init__(
        self, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reference_server", "--port", "0", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port = self._listening_port()
        self.tls_port = self._listening_port() if "--tls-port" in arguments else 0
        self.h2_port = self._listening_port() if "--h2-port" in arguments else 0
        self.h2c_port = self._listening_port() if "--h2c-port" in arguments else 0
        self.request(b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n")

    def _listening_port(self) -> int:
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        listening = re.search(r"listening on \S+:(\d+)", line)
        assert listening is not None, line
        return int(listening[1])

    def connect(self) -> socket.socket:
        """A connection without Nagle's delays."""
        connection = socket.create_connection((HOST, self.port), timeout=DEADLINE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def connect_tls(self) -> ssl.SSLSocket:
        """A connection to the TLS port, whose certificate nobody has to know."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        connection = socket.create_connection((HOST, self.tls_port), timeout=DEADLINE)
        return context.wrap_socket(connection)

    def request(self, *parts: bytes) -> tuple[int, bytes, bytes]:
        """Status, head and body of the response to one request sent in parts."""
        with self.connect() as connection:
            for number, part in enumerate(parts):
                if number:
                    time.sleep(PAUSE)
                connection.sendall(part)
            return read_response(connection)

    def get(self, target: str, *headers: str) -> tuple[int, bytes, bytes]:
        """Status, head and body of the response to a GET."""
        lines = "".join(f"{header}\r\n" for header in headers)
        return self.request(f"GET {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())

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
def running(
    *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Server]:
    """A server that must end well, unless the test has failed already."""
    server = Server(*arguments, environment=environment)
    try:
        yield server
    except BaseException:
        server.close()
        raise
    server.stop()
