"""Debug mode is on: what helps while a program is written is paid for by every request.

The event loop checks every callback, two lines are logged for each request, answers carry a header
with the time they took, errors show the traceback, and a thread watches the source files.

What a user sees: a fraction of the throughput, a log of debug lines, tracebacks in answers of 404,
and some work once in a second when nothing is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from reference_server.entry import Entry
from reference_server.faults import Answer
from reference_server.http11 import Connection
from reference_server.messages import HttpError, Request, Response

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("debug_mode",)
# A debug line for each request is logging for each request.
POSSIBLE_FINDINGS = ("logging_per_request", "slower_than_reference")
FALSE_FINDINGS = (
    "busy_spin",
    "exception_storm",
    "low_cpu",
    "single_threaded",
    "wrong_answers",
)

WATCH_SECONDS = 1.0

log = logging.getLogger("reference_server.debug")


class DebugConnection(Connection):
    """A connection that tells everything, to the log and to the client."""

    __slots__ = ()

    def dispatch(self, request: Request) -> None:
        """Has the request answered by a handler that explains what goes wrong in it."""
        started, handler = time.perf_counter(), request.handler

        def explaining(request: Request) -> Answer:
            try:
                answer = handler(request)
            except Exception as error:
                answer = debug_page(error)
            took = time.perf_counter() - started
            if isinstance(answer, Response):
                took_ms = b"%.3f" % (1e3 * took)
                answer.headers = (*answer.headers, (b"X-Debug-Handler-Ms", took_ms))
            log.debug(
                "request %s query=%s headers=%s", request.method, request.query, request.headers
            )
            log.debug("answered by %s in %.3f ms", handler, 1e3 * took)
            return answer

        request.handler = explaining
        super().dispatch(request)


def debug_page(error: Exception) -> Response:
    """The answer to a request whose handler raised, with all that is known."""
    text = "".join(traceback.format_exception(error)).encode()
    if isinstance(error, HttpError):
        return Response(text, status=error.status, headers=error.headers)
    log.error("a handler failed", exc_info=error)
    return Response(text, status=500)


def source_files() -> list[Path]:
    """The files of all modules that are loaded."""
    names = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    return [Path(name) for name in names if name]


def modified(files: Iterable[Path]) -> dict[Path, float]:
    """When each file was changed; those that are gone are left out."""
    found = {}
    for file in files:
        with contextlib.suppress(OSError):
            found[file] = file.stat().st_mtime
    return found


def watch(stop: threading.Event) -> None:
    """Looks at every source file once in a while, and says which one has changed."""
    known = modified(source_files())
    while not stop.wait(WATCH_SECONDS):
        now = modified(source_files())
        for file, when in now.items():
            if known.get(file, when) != when:
                log.warning("%s has changed: restart to load it", file)
        known = now


def apply(entry: Entry) -> Entry:
    """The entry as it is while somebody works on it."""

    @contextlib.asynccontextmanager
    async def debugging(workers: int) -> AsyncIterator[None]:
        log.setLevel(logging.DEBUG)
        log.warning("debug mode is on: not for production")
        asyncio.get_running_loop().set_debug(True)
        stop = threading.Event()
        watcher = threading.Thread(target=watch, args=(stop,), name="reloader", daemon=True)
        watcher.start()
        try:
            async with entry.resources(workers):
                yield
        finally:
            stop.set()
            watcher.join()

    return dataclasses.replace(entry, connection=DebugConnection, resources=debugging)
