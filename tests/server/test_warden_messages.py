"""What the warden is told and says, and the servers made of it; no process is started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
import pytest

from diagnose.child import Child
from diagnose.errors import ServerFailed, UsageError, WorkerFailed
from diagnose.server import launch
from diagnose.server.launch import GRACE_S, AttachedServer, LaunchedServer
from diagnose.server.warden import ServerPlan, WardenSays

# -- the warden's messages ----------------------------------------------------------------------

SAYINGS = {
    "started": (WardenSays(started=4242), b'{"started":4242}'),
    "failed": (WardenSays(failed="[Errno 8]"), b'{"failed":"[Errno 8]"}'),
    "ended_well": (WardenSays(status=0), b'{"status":0}'),
    "killed": (WardenSays(status=-9), b'{"status":-9}'),
    "daemon": (WardenSays(status=0, remaining=3), b'{"status":0,"remaining":3}'),
}


@pytest.mark.parametrize(("says", "line"), SAYINGS.values(), ids=SAYINGS.keys())
def test_what_the_warden_says(says: WardenSays, line: bytes) -> None:
    assert msgspec.json.encode(says) == line
    assert msgspec.json.decode(line, type=WardenSays) == says


# -- launched and attached ----------------------------------------------------------------------


class FakeWarden:
    """In place of the warden's process: a pipe with what it says first."""

    says: bytes = b""
    made: FakeWarden | None = None

    def __init__(self, module: str) -> None:
        assert module == "diagnose.server.warden"
        self.pid = 77
        self.sent: list[bytes] = []
        self.calls: list[str] = []
        self._reader, writer = os.pipe()
        os.write(writer, self.says)
        os.close(writer)
        FakeWarden.made = self

    def fileno(self) -> int:
        return self._reader

    def send(self, line: bytes) -> None:
        self.sent.append(line)

    def last_words(self) -> str:
        return "last words"

    def close(self, patience_s: float) -> int:
        self.calls.append(f"close {patience_s > 0}")
        return 0

    def discard(self) -> None:
        self.calls.append("discard")

    def dispose(self) -> None:
        with suppress(OSError):
            os.close(self._reader)


@pytest.fixture(name="warden")
def warden_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeWarden]]:
    monkeypatch.setattr(launch, "Child", FakeWarden)
    monkeypatch.setattr(FakeWarden, "says", b"")
    monkeypatch.setattr(FakeWarden, "made", None)
    yield FakeWarden
    if FakeWarden.made is not None:
        FakeWarden.made.dispose()


def launched(tmp_path: Path, *arguments: str, **environment: str) -> LaunchedServer:
    log = tmp_path / "server.log"
    return LaunchedServer(["./server", *arguments], environment, log, [0, 3])


def plan_in(line: bytes) -> ServerPlan:
    """As the warden reads it: msgpack in hexadecimal digits."""
    return msgspec.msgpack.decode(bytes.fromhex(line.decode()), type=ServerPlan)


def test_launch(warden: type[FakeWarden], tmp_path: Path) -> None:
    warden.says = b'{"started":4242}\n'
    server = launched(tmp_path)
    assert (server.pid, server.sample_root, server.include_root) == (4242, 77, False)
    assert (server.status, server.ended) == (None, False)
    assert server.watch() is not None
    server.stop()
    assert warden.made is not None
    assert warden.made.calls == ["close True", "discard"]


# Bytes that are not UTF-8 are lone surrogates in arguments and environment. Source: PEP 383.
WORDS = {
    "plain": b"--port=8080",
    "empty": b"",
    "line_breaks": b"echo \"a\nb\" 'c' \\ $PORT\r\n",
    "utf_8": "s\u00e9rver \U0001f600".encode(),
    "control": b"\x00\x1f\x7f",
    "not_utf_8": b"caf\xe9",
}


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS.keys())
def test_the_plan_reaches_the_warden_in_one_line(
    warden: type[FakeWarden], tmp_path: Path, word: bytes
) -> None:
    warden.says = b'{"started":4242}\n'
    launched(tmp_path, os.fsdecode(word), A="b", VALUE=os.fsdecode(word))
    assert warden.made is not None
    (line,) = warden.made.sent
    assert b"\n" not in line
    assert plan_in(line) == ServerPlan(
        command=[b"./server", word],
        environment={b"A": b"b", b"VALUE": word},
        log_path=os.fsencode(tmp_path / "server.log"),
        cpus=[0, 3],
        grace_s=GRACE_S,
    )


@pytest.mark.parametrize(
    ("line", "status", "ended"),
    [
        (b'{"status":0}', 0, True),
        (b'{"status":-9}', -9, True),
        (b'{"status":0,"remaining":2}', 0, False),
    ],
    ids=["ended", "killed", "daemon"],
)
def test_the_end_of_the_server(
    warden: type[FakeWarden], tmp_path: Path, line: bytes, status: int, ended: bool
) -> None:
    warden.says = b'{"started":4242}\n'
    server = launched(tmp_path)
    server.heard(line)
    assert (server.pid, server.status, server.ended) == (4242, status, ended)


def test_a_server_that_ends_at_once(warden: type[FakeWarden], tmp_path: Path) -> None:
    warden.says = b'{"started":4242}\n{"status":1}\n'
    server = launched(tmp_path)
    assert (server.pid, server.status, server.ended) == (4242, 1, True)


def test_a_server_that_cannot_be_started(warden: type[FakeWarden], tmp_path: Path) -> None:
    warden.says = b'{"failed":"[Errno 8] Exec format error"}\n'
    with pytest.raises(ServerFailed, match=r"could not be started: .*Exec format error"):
        launched(tmp_path)
    assert warden.made is not None
    assert warden.made.calls == ["close True", "discard"]


def test_a_warden_that_dies(warden: type[FakeWarden], tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed, match="last words"):
        launched(tmp_path)
    assert warden.made is not None
    assert warden.made.calls == ["close True", "discard"]


def test_attached_to_ourselves() -> None:
    server = AttachedServer(os.getpid())
    assert (server.pid, server.sample_root, server.include_root) == (os.getpid(), os.getpid(), True)
    assert (server.status, server.ended, server.watch()) == (None, False, None)
    server.stop()
    assert not server.ended


@pytest.mark.parametrize("pid", [2**22 + 1, 2**40, -1])
def test_attached_to_nothing(pid: int) -> None:
    with pytest.raises(UsageError, match=f"no process with PID {pid}"):
        AttachedServer(pid)


@pytest.mark.parametrize(
    ("running", "status", "ended"),
    [
        (True, psutil.STATUS_SLEEPING, False),
        (True, psutil.STATUS_ZOMBIE, True),
        (False, psutil.STATUS_RUNNING, True),
    ],
)
def test_the_end_of_an_attached_server(
    monkeypatch: pytest.MonkeyPatch, running: bool, status: str, ended: bool
) -> None:
    server = AttachedServer(os.getpid())
    monkeypatch.setattr(psutil.Process, "is_running", lambda _: running)
    monkeypatch.setattr(psutil.Process, "status", lambda _: status)
    assert server.ended is ended


def test_an_attached_server_that_ends_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(process: psutil.Process) -> str:
        raise psutil.NoSuchProcess(process.pid)

    server = AttachedServer(os.getpid())
    monkeypatch.setattr(psutil.Process, "is_running", lambda _: True)
    monkeypatch.setattr(psutil.Process, "status", gone)
    assert server.ended


def test_the_fake_has_what_the_server_uses() -> None:
    for name in ("fileno", "send", "last_words", "close", "discard"):
        assert callable(getattr(Child, name))
