"""The command line in a process of its own that need not load the program again.

A fork of this process has all modules already: starting the interpreter and loading them takes half
a second of CPU time. Nothing else of this process is left in it: a session, standard streams,
arguments and environment of its own, and its end is its own.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diagnose.cli import main

END_PATIENCE_S = 15.0
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended. status: exit status, negative for a signal."""

    status: int
    stdout: str
    stderr: str


def run(words: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> Ended | None:
    """`diagnose WORDS`, to its end; None when it was not over in time, and was ended.

    An exception here, Ctrl-C too, ends it first: it gets SIGINT, and SIGKILL when it does not heed.
    """
    out, out_in = os.pipe()
    error, error_in = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(out)
        os.close(error)
        _become(words, environment, out_in, error_in)
    os.close(out_in)
    os.close(error_in)
    printed: tuple[bytes, bytes] | None = None
    try:
        printed = _read_both(out, error, time.monotonic() + timeout_s)
    finally:
        if printed is None:
            _end(pid)
        os.close(out)
        os.close(error)
    if printed is None:
        return None
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return Ended(status, *(text.decode(errors="replace") for text in printed))


def _become(words: Sequence[str], environment: Mapping[str, str], out: int, error: int) -> None:
    """The forked process from here on; does not return."""
    status = 1
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for fd, number in ((nothing, 0), (out, 1), (error, 2)):
            os.dup2(fd, number)
            os.close(fd)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.update(environment)
        sys.argv = ["diagnose", *words]
        main()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def _read_both(out: int, error: int, until: float) -> tuple[bytes, bytes] | None:
    """What comes from both until they end; None when they have not by then."""
    parts: dict[int, list[bytes]] = {out: [], error: []}
    with selectors.DefaultSelector() as selector:
        for fd in parts:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, until - time.monotonic()))
            if not ready:
                return None
            for key, _ in ready:
                if piece := os.read(key.fd, _PIECE):
                    parts[key.fd].append(piece)
                else:
                    selector.unregister(key.fd)
    return b"".join(parts[out]), b"".join(parts[error])


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGINT)
    end = time.monotonic() + END_PATIENCE_S
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
