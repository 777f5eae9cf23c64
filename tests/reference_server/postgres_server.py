"""A PostgreSQL of the tests' own: in a temporary directory, on a socket file, without a port."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.reference_server.running_server import ROOT

START_SECONDS = 30.0
# What a crash would destroy is thrown away anyway.
SETTINGS = ("listen_addresses=", "fsync=off", "full_page_writes=off")


def programs() -> Path:
    """The directory of PostgreSQL's programs; without it the test is skipped, in CI it fails."""
    # Debian keeps them off PATH.
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(debian, key=lambda path: int(path.parts[-3].partition(".")[0]), default=None)
    found = newest or shutil.which("initdb")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed, and .ci/run should have installed it")
        pytest.skip("PostgreSQL is not installed")
    return Path(found).resolve().parent


class PostgresServer:
    """The server, started; `stop` and `start` as often as a test wants, `remove` at the end."""

    def __init__(self) -> None:
        self._home = programs()
        # It refuses to run as root.
        self._account: dict[str, Any] = {}
        user = getpass.getuser()
        if os.geteuid() == 0:
            user = "postgres"  # Debian's package makes it.
            self._account = {"user": user, "group": user, "extra_groups": []}
        # Not below the test's directory, which another user may not enter; and a short path,
        # because that of a socket is limited to 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="diagnose-postgres-"))
        shutil.chown(self.directory, user)
        self._data = self.directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._call("initdb", "-D", self._data, "-U", "test", "-A", "trust", "--no-sync")
            self.start()
        except BaseException:
            self.remove()
            raise

    def _call(self, program: str, *arguments: str | Path) -> str:
        done = subprocess.run(
            [self._home / program, *arguments],
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=START_SECONDS,
            check=False,
            **self._account,
        )
        said: str = done.stdout
        assert done.returncode == 0, said
        return said

    def start(self) -> None:
        """Starts it, and waits until it takes connections."""
        command: list[str | Path] = [self._home / "postgres", "-D", self._data]
        command += ["-k", self.directory]
        for setting in SETTINGS:
            command += ["-c", setting]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                command, cwd=self.directory, stdout=log, stderr=log, **self._account
            )
        ready = [str(self._home / "pg_isready"), "-q", "-h", str(self.directory)]
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run(ready, check=False).returncode:
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    @property
    def _log(self) -> Path:
        return self.directory / "log"

    def stop(self) -> None:
        """Ends it, whoever is connected."""
        if self._process is None:
            return
        # postgres(1): SIGTERM "will wait for all clients to terminate before quitting", SIGINT
        # "will forcefully disconnect all clients".
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(START_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Ends it and leaves no file behind."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory)

    def database(self, name: str) -> str:
        """The URL of a new, empty database."""
        self._call("createdb", "-h", self.directory, "-U", "test", name)
        return self.url(name)

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql://test@/{name}?host={self.directory}"

    def query(self, url: str, statement: str) -> str:
        """What a statement returns, as psql prints it, unaligned."""
        return self._call("psql", url, "-Atc", statement).strip()

    def clients(self, url: str) -> int:
        """How many clients a database has, besides the one that asks."""
        return int(
            self.query(
                url,
                "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend' "
                "AND datname = current_database()",
            )
        )


def fill(url: str) -> subprocess.CompletedProcess[str]:
    """Makes the table as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "reference_server", "--fill-database"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
