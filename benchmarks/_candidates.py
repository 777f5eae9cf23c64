"""The servers beside the reference server, each with its fastest documented settings.

Each serves in one process with one worker, writes no access log, and takes part when its modules or
its program are there.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from typing import Any

from benchmarks._apps import BODY_LIMIT, HOST, asgi, wsgi
from benchmarks._frameworks import (
    Serve,
    serve_aiohttp,
    serve_blacksheep,
    serve_falcon,
    serve_robyn,
    serve_sanic,
    serve_socketify,
    serve_uvicorn,
)
from benchmarks._yardsticks import serve_nginx, serve_node


def serve_reference(port: int) -> None:
    from reference_server.__main__ import main as reference_main

    reference_main(["--host", HOST, "--port", str(port), "--workers", "1"])


def serve_granian(interface: str, **options: Any) -> Serve:
    def serve(port: int) -> None:
        from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
        from granian.http import HTTP1Settings
        from granian.server import Server

        if "runtime_mode" in options:
            options["runtime_mode"] = RuntimeModes(options["runtime_mode"])
        Server(
            f"benchmarks._apps:{interface}",
            address=HOST,
            port=port,
            interface=Interfaces(interface),
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            # "Aggregates HTTP/1 flushes to better support pipelined responses".
            http1_settings=HTTP1Settings(pipeline_flush=True),
            log_enabled=False,
            **options,
        ).serve()

    return serve


def serve_gunicorn(worker: str, app: str = "wsgi", *options: str) -> Serve:
    def serve(port: int) -> None:
        command = f"-m gunicorn -w 1 -k {worker} -b {HOST}:{port} --log-level error"
        # Its C parser (gunicorn[fast]) is the one that it takes by itself when it is installed.
        arguments = [*command.split(), *options, f"benchmarks._apps:{app}"]
        os.execv(sys.executable, [sys.executable, *arguments])

    return serve


def serve_fastpysgi(app: Any) -> Serve:
    def serve(port: int) -> None:
        import fastpysgi  # type: ignore[import-untyped]

        fastpysgi.server.max_content_length = BODY_LIMIT
        fastpysgi.run(app, host=HOST, port=port)

    return serve


def serve_bjoern(port: int) -> None:
    import bjoern  # type: ignore[import-untyped]

    bjoern.run(wsgi, HOST, port)


def serve_hypercorn(port: int) -> None:
    import uvloop
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.loglevel = "WARNING"
    uvloop.run(serve(asgi, config))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server: how it is started, and what has to be there for it.

    yardstick: no Python. fixed: it sends answers made beforehand and cannot count a body.
    """

    serve: Serve
    modules: tuple[str, ...] = ()
    program: str = ""
    yardstick: bool = False
    fixed: bool = False

    @property
    def missing(self) -> list[str]:
        """What is not installed."""
        absent = [name for name in self.modules if importlib.util.find_spec(name) is None]
        if self.program and shutil.which(self.program) is None:
            absent.append(self.program)
        return absent


REFERENCE = "reference_server"
# The same once more: what its pairs show is the noise of the measurement.
AGAIN = "reference_server, a second one"
REFERENCE_NEEDS = ("uvloop", "httptools", "orjson")
CANDIDATES = {
    REFERENCE: Candidate(serve_reference, REFERENCE_NEEDS),
    AGAIN: Candidate(serve_reference, REFERENCE_NEEDS),
    "uvicorn": Candidate(serve_uvicorn(asgi), ("uvicorn", "uvloop", "httptools")),
    "hypercorn": Candidate(serve_hypercorn, ("hypercorn", "uvloop")),
    "granian RSGI, mode st": Candidate(serve_granian("rsgi", runtime_mode="st"), ("granian",)),
    "granian RSGI, mode mt": Candidate(serve_granian("rsgi", runtime_mode="mt"), ("granian",)),
    "granian ASGI": Candidate(serve_granian("asgi"), ("granian",)),
    "granian WSGI": Candidate(serve_granian("wsgi", blocking_threads=1), ("granian",)),
    "fastpysgi ASGI": Candidate(serve_fastpysgi(asgi), ("fastpysgi",)),
    "fastpysgi WSGI": Candidate(serve_fastpysgi(wsgi), ("fastpysgi",)),
    "bjoern": Candidate(serve_bjoern, ("bjoern",)),
    "gunicorn sync": Candidate(serve_gunicorn("sync"), ("gunicorn", "gunicorn_h1c")),
    "gunicorn gthread": Candidate(
        serve_gunicorn("gthread", "wsgi", "--threads", "4"), ("gunicorn", "gunicorn_h1c")
    ),
    "gunicorn gevent": Candidate(serve_gunicorn("gevent"), ("gunicorn", "gunicorn_h1c", "gevent")),
    "gunicorn tornado": Candidate(
        serve_gunicorn("tornado"), ("gunicorn", "gunicorn_h1c", "tornado")
    ),
    "gunicorn asgi": Candidate(
        serve_gunicorn("asgi", "asgi"), ("gunicorn", "gunicorn_h1c", "uvloop")
    ),
    "gunicorn uvicorn": Candidate(
        serve_gunicorn("uvicorn_worker.UvicornWorker", "asgi"),
        ("gunicorn", "uvicorn_worker", "uvloop", "httptools"),
    ),
    "aiohttp": Candidate(serve_aiohttp, ("aiohttp", "uvloop")),
    "sanic": Candidate(serve_sanic, ("sanic", "uvloop")),
    "robyn": Candidate(serve_robyn, ("robyn",)),
    "socketify": Candidate(serve_socketify, ("socketify",)),
    "falcon on uvicorn": Candidate(serve_falcon, ("falcon", "uvicorn")),
    "blacksheep on uvicorn": Candidate(serve_blacksheep, ("blacksheep", "uvicorn")),
    "nginx, fixed answers": Candidate(serve_nginx, (), "nginx", yardstick=True, fixed=True),
    "node:http": Candidate(serve_node, (), "node", yardstick=True),
}
# Left out of --quick.
QUICK = (REFERENCE, AGAIN, "uvicorn", "granian RSGI, mode st", "fastpysgi WSGI", "bjoern")
