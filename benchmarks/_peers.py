"""The servers under load, on a CPU of their own, and the C programs, compiled where they run."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks._rows import Row, UploadRow

SERVER_CPU = 0
SOURCES = Path(__file__).resolve().parent / "peer"
READY_S = 10.0
# "too long parameter": nginx reads its configuration through a buffer of 4096 bytes.
NGINX_PIECE = 3000
NGINX = """daemon off; worker_processes 1; pid {home}/pid; error_log stderr;
events {{ worker_connections 18000; }}
http {{ access_log off; default_type {content_type}; keepalive_requests {close_after};
  client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c;
  uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  server {{ listen 127.0.0.1:{port} backlog=16384; location / {{ {body} }} }} }}
"""
NGINX_NEVER_CLOSES = 100_000_000


class Peers:
    """The compiled C programs `server` and `sender`."""

    def __init__(self, home: Path) -> None:
        self.server = home / "server"
        self.sender = home / "sender"


def end_in_order() -> None:
    """SIGTERM ends a benchmark as Ctrl-C does: the servers that it started are ended too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@contextmanager
def compiled() -> Iterator[Peers]:
    """The C peers in a temporary directory.

    Raises: SystemExit when there is no compiler, or when it refuses them.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise SystemExit("no C compiler: `cc` is not on PATH (Debian: install gcc and libc6-dev)")
    with tempfile.TemporaryDirectory(prefix="diagnose-peers-") as home:
        peers = Peers(Path(home))
        for program in (peers.server, peers.sender):
            source = SOURCES / f"{program.name}.c"
            command = [compiler, "-O2", "-Wall", "-Wextra", "-o", str(program), str(source)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"cannot compile {source.name}:\n{done.stderr}")
        yield peers


def allow_descriptors() -> None:
    """Let this process and those it starts open as many descriptors as the hard limit says."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port() -> int:
    """A port that nothing listened on a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def pinned(cpu: int) -> list[str]:
    """The prefix that keeps a command on a CPU."""
    return ["taskset", "-c", str(cpu)]


@contextmanager
def _serving(name: str, command: Sequence[str], port: int) -> Iterator[int]:
    """The process id of a server that accepts connections; it is ended afterwards.

    Raises: SystemExit when it does not listen in time.
    """
    server = subprocess.Popen([*pinned(SERVER_CPU), *command])
    try:
        deadline = time.monotonic() + READY_S
        while True:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{name} does not listen on port {port}: {' '.join(command)}")
            time.sleep(0.02)
        yield server.pid
    finally:
        server.terminate()
        server.wait()


@dataclass(frozen=True)
class Listening:
    """A server that runs: where, and its process id."""

    port: int
    pid: int


@contextmanager
def nginx(row: Row) -> Iterator[Listening]:
    """nginx with one worker, answering as the row wants."""
    text = row.body.decode()
    pieces = [text[start : start + NGINX_PIECE] for start in range(0, len(text), NGINX_PIECE)]
    settings = [f"set $part{number} '{piece}';" for number, piece in enumerate(pieces)]
    answer = "".join(f"$part{number}" for number in range(len(pieces)))
    if len(pieces) == 1:
        settings, answer = [], text
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="diagnose-nginx-") as home:
        config = Path(home) / "nginx.conf"
        config.write_text(
            NGINX.format(
                home=home,
                port=port,
                content_type=row.content_type,
                close_after=row.close_after or NGINX_NEVER_CLOSES,
                body=" ".join([*settings, f'return 200 "{answer}";']),
            )
        )
        with _serving("nginx", ["nginx", "-c", str(config)], port) as pid:
            yield Listening(port, pid)


@contextmanager
def c_server(peers: Peers, row: Row, delay_us: int = 0) -> Iterator[Listening]:
    """Our C server, answering as the row wants, each answer `delay_us` later."""
    port = free_port()
    with tempfile.NamedTemporaryFile(prefix="diagnose-body-") as body:
        command = [str(peers.server), "-d", str(delay_us)]
        if row.json:
            body.write(row.body)
            body.flush()
            command += ["-f", body.name]
        command += [str(port), str(len(row.body)), str(row.close_after)]
        with _serving("the C server", command, port) as pid:
            yield Listening(port, pid)


@dataclass(frozen=True)
class Uploads:
    """Uploads in a window: completed ones, body bytes sent, wall and CPU seconds of the client."""

    completed: int
    body_completed: int
    body_sent: int
    wall_s: float
    cpu_s: float

    @property
    def sent_per_s(self) -> float:
        """Body bytes per second, those of unfinished uploads included."""
        return self.body_sent / self.wall_s

    @property
    def completed_per_s(self) -> float:
        """Body bytes per second of the uploads that were answered."""
        return self.body_completed / self.wall_s

    @property
    def cpu_per_gb(self) -> float:
        """CPU seconds for 10^9 body bytes sent."""
        return self.cpu_s / self.body_sent * 1e9


def run_sender(
    peers: Peers, mode: str, row: UploadRow, port: int, seconds: float, cpu: int
) -> Uploads:
    """What the C sender did; mode: `sendfile` or `send`.

    Raises: SystemExit when it failed.
    """
    sizes = [port, row.connections, row.size, seconds]
    command = [*pinned(cpu), str(peers.sender), "-m", mode, *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the C sender failed: {done.stderr.strip()}")
    said = json.loads(done.stdout)
    del said["mode"]
    return Uploads(**said)
