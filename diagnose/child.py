"""A process of our own, spoken to in lines over its standard input and output."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping

from diagnose.errors import WorkerFailed


class Child:
    """A Python module run as a process in a session of its own, so that Ctrl-C does not reach it.

    `cpus`: the CPUs that it may run on. Its standard output is read without blocking.
    """

    def __init__(self, module: str, *arguments: str, cpus: Iterable[int] | None = None) -> None:
        self.module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=_environment(os.environ),
        )
        self.pid = self._process.pid
        if cpus is not None:
            os.sched_setaffinity(self.pid, cpus)
        assert self._process.stdout is not None
        self._out = self._process.stdout.fileno()
        os.set_blocking(self._out, False)
        self._buffer = b""
        self.ended = False

    def fileno(self) -> int:
        """For a selector: readable when `lines` has something to say."""
        return self._out

    def send(self, line: bytes) -> None:
        """One line to the process.

        Raises: WorkerFailed when it has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerFailed(self.last_words()) from error

    def lines(self) -> list[bytes]:
        """The lines that have arrived; sets `ended` at the end of the output."""
        while True:
            try:
                data = os.read(self._out, 1 << 18)
            except BlockingIOError:
                break
            if not data:
                self.ended = True
                break
            self._buffer += data
        *whole, self._buffer = self._buffer.split(b"\n")
        return whole

    def last_words(self) -> str:
        """How the process ended and what it wrote to its standard error."""
        self.close(0.5)
        assert self._process.stderr is not None
        text = self._process.stderr.read().decode(errors="replace").strip()
        lines = "\n".join(text.splitlines()[-5:])
        return f"{self.module} ended with status {self._process.returncode}: {lines}"

    def close_input(self) -> None:
        """Tell the process that nothing more will come."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                return

    def close(self, patience_s: float) -> int:
        """Close its input, wait, then kill it; its exit status."""
        self.close_input()
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def discard(self) -> None:
        """After `close`: give the descriptors back."""
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


def _environment(base: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker: ours, with numpy's thread pools off."""
    return {**base, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
