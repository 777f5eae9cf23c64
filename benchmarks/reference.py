"""Compares the server libraries that the reference server could stand on.

Every candidate runs the same minimal contract app (baseline11, pipeline, json, upload) in one
process on one core, with the load on another core. Candidates are interleaved in rounds, because
the speed of a shared machine drifts by more than the differences of interest; the figures are
medians over the rounds, per CPU second of the server's process tree, and only their ratios mean
something. Memory is what the tree grows by while every upload is in flight but for its last byte.

    python -m benchmarks.reference [--quick] [--only NAME ...] [--rounds N] [--seconds S]

Needs wrk on PATH and the packages in reference-requirements.txt; what is missing is skipped.
It is longer than other modules here because a candidate is a handful of lines that no other
file needs.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import re
import selectors
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reference_server.endpoints import integer, json_items, query_integer, query_sum
from reference_server.messages import HttpError

HOST = "127.0.0.1"
MIB = 1024 * 1024
UPLOAD_BYTES = 20 * MIB
# Above any body sent here: a library's default limit must not decide the comparison.
BODY_LIMIT = 64 * MIB
START_DEADLINE = 10.0
# For the server to read what is still in socket buffers when the last byte was sent.
SETTLE_SECONDS = 0.3
JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain"

# ------------------------------------------------------------------------------ the contract app


def answer(method: str, path: str, query: bytes, body: bytes) -> tuple[int, str, bytes]:
    """The whole contract but for uploads: status, content type and body of the response.

    It is made from the same functions as the reference server, so that only the servers differ.
    """
    try:
        if path == "/baseline11":
            if method not in ("GET", "POST"):
                return 405, TEXT_TYPE, b"method not allowed"
            total = query_sum(query) + (integer(body) if method == "POST" else 0)
            return 200, TEXT_TYPE, b"%d" % total
        if path == "/pipeline":
            return 200, TEXT_TYPE, b"ok"
        if path.startswith("/json/"):
            argument = path.rpartition("/")[2].encode()
            return 200, JSON_TYPE, json_items(integer(argument), query_integer(query, b"m", 1))
    except HttpError:
        return 400, TEXT_TYPE, b"bad number"
    return 404, TEXT_TYPE, b"not found"


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    method, path = scope["method"], scope["path"]
    body = b""
    if method == "POST":
        received, more = 0, True
        parts: list[bytes] = []
        while more:
            message = await receive()
            more = message.get("more_body", False)
            part = message.get("body", b"")
            received += len(part)
            if path != "/upload":
                parts.append(bytes(part))
        body = b"".join(parts)
    if path == "/upload":
        status, kind, content = 200, TEXT_TYPE, b"%d" % received
    else:
        status, kind, content = answer(method, path, scope["query_string"], body)
    headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def rsgi(scope: Any, protocol: Any) -> None:
    body = b""
    if scope.path == "/upload":
        received = 0
        async for part in protocol:
            received += len(part)
        status, kind, content = 200, TEXT_TYPE, b"%d" % received
    else:
        if scope.method == "POST":
            body = await protocol()
        status, kind, content = answer(scope.method, scope.path, scope.query_string.encode(), body)
    protocol.response_bytes(status, [("content-type", kind)], content)


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if path == "/upload":
        received = 0
        while part := environ["wsgi.input"].read(MIB):
            received += len(part)
        status, kind, content = 200, TEXT_TYPE, b"%d" % received
    else:
        body = environ["wsgi.input"].read() if method == "POST" else b""
        query = (environ.get("QUERY_STRING") or "").encode()
        status, kind, content = answer(method, path, query, body)
    line = {200: "200 OK", 400: "400 Bad Request", 404: "404 Not Found"}.get(status, "405 No")
    start_response(line, [("Content-Type", kind), ("Content-Length", str(len(content)))])
    return [content]


# ------------------------------------------------------------------------------- the candidates


def serve_reference(port: int) -> None:
    from reference_server.__main__ import main as reference_main

    reference_main(["--host", HOST, "--port", str(port), "--workers", "1"])


def serve_uvicorn(port: int) -> None:
    import uvicorn

    uvicorn.run(
        asgi,
        host=HOST,
        port=port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )


def serve_granian(interface: str, **options: Any) -> Callable[[int], None]:
    def serve(port: int) -> None:
        from granian.constants import Interfaces, Loops, RuntimeModes
        from granian.server import Server

        if "runtime_mode" in options:
            options["runtime_mode"] = RuntimeModes(options["runtime_mode"])
        Server(
            f"benchmarks.reference:{interface}",
            address=HOST,
            port=port,
            interface=Interfaces(interface),
            loop=Loops.uvloop,
            log_enabled=False,
            **options,
        ).serve()

    return serve


def serve_fastpysgi(app: Any) -> Callable[[int], None]:
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


def serve_aiohttp(port: int) -> None:
    import uvloop
    from aiohttp import web

    async def baseline(request: web.Request) -> web.Response:
        body = await request.read() if request.method == "POST" else b""
        status, kind, content = answer(
            request.method, request.path, request.query_string.encode(), body
        )
        return web.Response(status=status, content_type=kind, body=content)

    async def upload(request: web.Request) -> web.Response:
        received = 0
        async for part in request.content.iter_any():
            received += len(part)
        return web.Response(content_type=TEXT_TYPE, body=b"%d" % received)

    app = web.Application(client_max_size=BODY_LIMIT)
    app.router.add_post("/upload", upload)
    app.router.add_route("*", "/{path:.*}", baseline)
    uvloop.install()
    web.run_app(app, host=HOST, port=port, access_log=None, print=None)


def serve_sanic(port: int) -> None:
    from sanic import Request, Sanic
    from sanic.response import raw

    app = Sanic("reference", configure_logging=False)
    app.config.REQUEST_MAX_SIZE = BODY_LIMIT
    app.config.ACCESS_LOG = False

    async def other(request: Request, path: str) -> Any:
        status, kind, content = answer(
            request.method, request.path, request.query_string.encode(), request.body
        )
        return raw(content, status=status, content_type=kind)

    async def upload(request: Request) -> Any:
        received = 0
        stream: Any = request.stream
        async for part in stream:
            received += len(part)
        return raw(b"%d" % received, content_type=TEXT_TYPE)

    app.add_route(upload, "/upload", methods=["POST"], stream=True)
    app.add_route(other, "/<path:path>", methods=["GET", "POST"])
    app.run(HOST, port, single_process=True, motd=False, access_log=False)


def serve_blacksheep(port: int) -> None:
    import uvicorn
    from blacksheep import Application, Content, Request, Response
    from blacksheep.server.routing import Router

    router = Router()

    async def other(request: Request) -> Response:
        body = (await request.read() or b"") if request.method == "POST" else b""
        query = request.url.query or b""
        path = (request.url.path or b"").decode()
        status, kind, content = answer(request.method, path, query, body)
        return Response(status, content=Content(kind.encode(), content))

    async def upload(request: Request) -> Response:
        received = 0
        stream: Any = request.stream()  # Its type hints do not say that it is a generator.
        async for part in stream:
            received += len(part)
        return Response(200, content=Content(TEXT_TYPE.encode(), b"%d" % received))

    # It resolves annotations in the module, where a candidate's names are not imported.
    for handler in (other, upload):
        handler.__annotations__ = {"request": Request, "return": Response}
    router.add_post("/upload", upload)
    for path in ("/baseline11", "/pipeline", "/json/{n}"):
        router.add_get(path, other)
    router.add_post("/baseline11", other)
    uvicorn.run(Application(router=router), host=HOST, port=port, log_level="warning")


def serve_falcon(port: int) -> None:
    import falcon.asgi
    import uvicorn

    class Other:
        async def on_get(self, request: Any, response: Any, n: str = "") -> None:
            body = await request.stream.read() if request.method == "POST" else b""
            status, kind, content = answer(
                request.method, request.path, request.query_string.encode(), body
            )
            response.status, response.content_type, response.data = status, kind, content

        on_post = on_get

    class Upload:
        async def on_post(self, request: Any, response: Any) -> None:
            received = 0
            async for part in request.stream:
                received += len(part)
            response.content_type, response.data = TEXT_TYPE, b"%d" % received

    app = falcon.asgi.App()
    for path in ("/baseline11", "/pipeline", "/json/{n}"):
        app.add_route(path, Other())
    app.add_route("/upload", Upload())
    uvicorn.run(app, host=HOST, port=port, log_level="warning", access_log=False)


def serve_robyn(port: int) -> None:
    os.environ["ROBYN_MAX_PAYLOAD_SIZE"] = str(BODY_LIMIT)
    sys.argv = [sys.argv[0], "--log-level", "ERROR"]
    from robyn import Request, Response, Robyn

    app = Robyn(__file__)

    def body_of(request: Request) -> bytes:
        body: Any = request.body
        return body.encode() if isinstance(body, str) else bytes(body)

    async def other(request: Request) -> Response:
        query = "&".join(
            f"{name}={value}"
            for name, values in request.query_params.to_dict().items()
            for value in values
        )
        status, kind, content = answer(
            request.method, request.url.path, query.encode(), body_of(request)
        )
        return Response(status, {"content-type": kind}, content)

    async def upload(request: Request) -> Response:
        return Response(200, {"content-type": TEXT_TYPE}, b"%d" % len(body_of(request)))

    for path in ("/baseline11", "/pipeline", "/json/:n"):
        app.get(path)(other)
    app.post("/baseline11")(other)
    app.post("/upload")(upload)
    app.start(port=port, host=HOST)


def serve_socketify(port: int) -> None:
    from socketify import App, AppListenOptions  # type: ignore[import-untyped]

    app = App()

    def query_of(request: Any) -> bytes:
        url: str = request.get_full_url()
        return url.partition("?")[2].encode()

    def reply(response: Any, status: int, kind: str, content: bytes) -> None:
        response.write_status(status)
        response.write_header("Content-Type", kind)
        response.end(content)

    def other(response: Any, request: Any) -> None:
        reply(response, *answer("GET", request.get_url(), query_of(request), b""))

    def post(response: Any, request: Any) -> None:
        path, query = request.get_url(), query_of(request)
        parts: list[bytes] = []

        def on_data(response: Any, part: bytes | None, last: bool) -> None:
            parts.append(part or b"")
            if last:
                reply(response, *answer("POST", path, query, b"".join(parts)))

        response.on_data(on_data)

    def upload(response: Any, request: Any) -> None:
        received = 0

        def on_data(response: Any, part: bytes | None, last: bool) -> None:
            nonlocal received
            received += len(part or b"")
            if last:
                reply(response, 200, TEXT_TYPE, b"%d" % received)

        response.on_data(on_data)

    app.get("/*", other)
    app.post("/upload", upload)
    app.post("/*", post)
    app.listen(AppListenOptions(port=port, host=HOST))
    app.run()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server library; `modules` have to be importable for it to take part."""

    serve: Callable[[int], None]
    modules: tuple[str, ...]


REFERENCE = "reference_server (uvloop + httptools)"
CANDIDATES = {
    REFERENCE: Candidate(serve_reference, ("uvloop", "httptools", "orjson")),
    "uvicorn (uvloop, httptools)": Candidate(serve_uvicorn, ("uvicorn", "uvloop", "httptools")),
    "granian rsgi (st)": Candidate(serve_granian("rsgi", runtime_mode="st"), ("granian", "uvloop")),
    "granian rsgi (mt)": Candidate(serve_granian("rsgi", runtime_mode="mt"), ("granian", "uvloop")),
    "granian asgi": Candidate(serve_granian("asgi"), ("granian", "uvloop")),
    "fastpysgi asgi": Candidate(serve_fastpysgi(asgi), ("fastpysgi",)),
    "fastpysgi wsgi": Candidate(serve_fastpysgi(wsgi), ("fastpysgi",)),
    "bjoern": Candidate(serve_bjoern, ("bjoern",)),
    "socketify": Candidate(serve_socketify, ("socketify",)),
    "robyn": Candidate(serve_robyn, ("robyn",)),
    "aiohttp (uvloop)": Candidate(serve_aiohttp, ("aiohttp", "uvloop")),
    "sanic (uvloop)": Candidate(serve_sanic, ("sanic", "uvloop")),
    "falcon on uvicorn": Candidate(serve_falcon, ("falcon", "uvicorn")),
    "blacksheep on uvicorn": Candidate(serve_blacksheep, ("blacksheep", "uvicorn")),
    "hypercorn (uvloop)": Candidate(serve_hypercorn, ("hypercorn", "uvloop")),
}
# Too slow to be chosen: left out of --quick.
SLOW = {"hypercorn (uvloop)", "robyn", "falcon on uvicorn", "blacksheep on uvicorn"}

# ------------------------------------------------------------------------------------- the load

# wrk calls request() for each request that it sends; `16 requests in one string` is how its own
# pipelining example works, and it counts responses, not strings.
LUA = {
    "baseline": """
        local get = "GET /baseline11?a=13&b=42 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
        local post = "POST /baseline11?a=13&b=42 HTTP/1.1\\r\\nHost: x\\r\\n"
        local all = {get, post .. "Content-Length: 2\\r\\n\\r\\n20",
            post .. "Transfer-Encoding: chunked\\r\\n\\r\\n2\\r\\n20\\r\\n0\\r\\n\\r\\n"}
        local turn = 0
        request = function() turn = turn % 3 + 1; return all[turn] end
    """,
    "pipelined": """
        local all = string.rep("GET /pipeline HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n", 16)
        request = function() return all end
    """,
    "json": """
        local all, turn = {}, 0
        for i, q in ipairs({"1?m=3", "5?m=7", "10?m=2", "15?m=5", "25?m=4", "40?m=8", "50?m=6"})
        do all[i] = "GET /json/" .. q .. " HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n" end
        request = function() turn = turn % 7 + 1; return all[turn] end
    """,
}


def run_wrk(profile: str, port: int, seconds: float, connections: int, core: int) -> int:
    """Responses that wrk read; -1 when it saw socket errors or anything but 2xx."""
    url = f"http://{HOST}:{port}/"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA[profile])
        script.flush()
        # wrk takes whole seconds only; SIGINT ends it early, and it still prints its totals.
        process = subprocess.Popen(
            [*f"taskset -c {core} wrk -t1 -c{connections} -d60s -s".split(), script.name, url],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=10)
    found = re.search(r"(\d+) requests in", output)
    if found is None or "Non-2xx" in output or "Socket errors" in output:
        return -1
    return int(found[1])


@dataclass(slots=True)
class Upload:
    connection: socket.socket
    sent: int = 0
    reply: bytes = b""


def upload(port: int, connections: int, when_in_flight: Callable[[], None]) -> bool:
    """Sends every body but its last byte, calls back, sends the rest; whether all counts are right.

    Holding the last byte back makes the number of bytes in flight exact when memory is read.
    """
    head = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % UPLOAD_BYTES
    block = memoryview(bytes(256 * 1024))
    selector = selectors.DefaultSelector()
    uploads = []
    for _ in range(connections):
        connection = socket.create_connection((HOST, port), timeout=30)
        connection.sendall(head)
        connection.setblocking(False)
        uploads.append(Upload(connection))
        selector.register(connection, selectors.EVENT_WRITE, uploads[-1])
    waiting = connections
    deadline = time.monotonic() + 60
    while waiting and time.monotonic() < deadline:
        for key, _ in selector.select(1):
            each: Upload = key.data
            each.sent += each.connection.send(block[: UPLOAD_BYTES - 1 - each.sent])
            if each.sent == UPLOAD_BYTES - 1:
                selector.unregister(each.connection)
                waiting -= 1
    time.sleep(SETTLE_SECONDS)
    when_in_flight()
    correct = waiting == 0
    for each in uploads:
        each.connection.setblocking(True)
        each.connection.settimeout(30)
        each.connection.sendall(b"\0")
    for each in uploads:
        while not each.reply.endswith(b"%d" % UPLOAD_BYTES):
            received = each.connection.recv(4096)
            if not received:
                correct = False
                break
            each.reply += received
        each.connection.close()
    return correct


def exchange(port: int, parts: Iterable[bytes]) -> bytes:
    """What one connection answers to the parts, sent 30 ms apart, within half a second."""
    reply = b""
    with socket.create_connection((HOST, port), timeout=2) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
            time.sleep(0.03)
        connection.settimeout(0.5)
        with contextlib.suppress(OSError):
            while received := connection.recv(65536):
                reply += received
                if re.search(rb"\r\n\r\n.", reply):
                    break
    return reply


def broken_promises(port: int) -> list[str]:
    """The parts of the contract that a candidate does not keep, whatever its speed."""
    target = b" /baseline11?a=13&b=42 HTTP/1.1\r\nHost: x\r\n"
    cases: dict[str, tuple[tuple[bytes, ...], bytes]] = {
        "get": ((b"GET" + target + b"\r\n",), b"55"),
        "post": ((b"POST" + target + b"Content-Length: 2\r\n\r\n20",), b"75"),
        "chunked": (
            (b"POST" + target + b"Transfer-Encoding: chunked\r\n\r\n2\r\n20\r\n0\r\n\r\n",),
            b"75",
        ),
        "fragmented": (
            (b"PO", b"ST" + target, b"Content-Length: 2\r\n\r\n", b"2", b"0"),
            b"75",
        ),
        "404": ((b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",), b" 404 "),
        "400": ((b"GET /baseline11?a=x HTTP/1.1\r\nHost: x\r\n\r\n",), b" 400 "),
    }
    broken = []
    for name, (parts, expected) in cases.items():
        reply = exchange(port, parts)
        right = expected in reply if expected.startswith(b" ") else reply.endswith(expected)
        if not right:
            broken.append(name)
    return broken


# ------------------------------------------------------------------------------- the measurement


@dataclass(slots=True)
class Figures:
    """Per round: responses (uploads: MiB) per CPU second of the server, and memory in MiB."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    growth: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def tree(pid: int) -> list[Any]:
    import psutil  # type: ignore[import-untyped]

    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def cpu_seconds(pid: int) -> float:
    used: float = sum(sum(each.cpu_times()[:2]) for each in tree(pid))  # user and system
    return used


def rss(pid: int) -> float:
    used: int = sum(each.memory_info().rss for each in tree(pid))
    return used / MIB


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(name: str, port: int, core: int, log: Path) -> Iterator[int]:
    """The candidate's process id, once it answers; everything it started is gone afterwards."""
    command = f"taskset -c {core} {sys.executable} -m benchmarks.reference"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command.split(), "--port", str(port), "--serve", name],
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=Path(__file__).resolve().parent.parent,
        )
    try:
        deadline = time.monotonic() + START_DEADLINE
        while True:
            with contextlib.suppress(OSError):
                if b" 200 " in exchange(port, (b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n",)):
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("it did not answer in time")
            time.sleep(0.05)
        yield process.pid
    finally:
        # Its own session, so that workers left behind by their master end as well.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def measure(name: str, figures: Figures, options: argparse.Namespace) -> None:
    port = free_port()
    server_core, load_core = options.cores
    os.sched_setaffinity(0, {load_core})
    with running(name, port, server_core, options.log) as pid:
        if not figures.rates:
            figures.broken = broken_promises(port)
        for profile in LUA:
            before = cpu_seconds(pid)
            responses = run_wrk(profile, port, options.seconds, options.connections, load_core)
            used = cpu_seconds(pid) - before
            # Under 50 ms of CPU (clock ticks are 10 ms) a server answered next to nothing.
            rate = responses / used if responses > 0 and used > 0.05 else float("nan")
            figures.rates.setdefault(profile, []).append(rate)
        before, start = cpu_seconds(pid), rss(pid)
        correct = upload(port, options.uploads, lambda: figures.growth.append(rss(pid) - start))
        mebibytes = options.uploads * UPLOAD_BYTES / MIB
        rate = mebibytes / (cpu_seconds(pid) - before) if correct else float("nan")
        figures.rates.setdefault("upload", []).append(rate)
        figures.peak.append(max(start, start + figures.growth[-1]))


def table(results: dict[str, Figures], chosen: str) -> str:
    """Markdown: each rate as a ratio to the chosen candidate's, which shows its own rates."""
    profiles = [*LUA, "upload"]
    base = {profile: statistics.median(results[chosen].rates[profile]) for profile in profiles}
    lines = [
        "| candidate | " + " | ".join(profiles) + " | growth, MiB | peak RSS, MiB | not kept |",
        "|---|" + "---:|" * (len(profiles) + 2) + "---|",
    ]
    for name, figures in results.items():
        cells = []
        for profile in profiles:
            median = statistics.median(figures.rates[profile])
            cells.append("failed" if median != median else f"{median / base[profile]:.2f}")
        cells += [f"{statistics.median(column):.0f}" for column in (figures.growth, figures.peak)]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {', '.join(figures.broken)} |")
    units = ", ".join(
        f"{profile} {base[profile]:,.0f} {'MiB' if profile == 'upload' else 'responses'}"
        for profile in profiles
    )
    return "\n".join([*lines, "", f"1.00 is, per CPU second of the server: {units}."])


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare server libraries for the reference.")
    parser.add_argument("--quick", action="store_true", help="one short round, no slow candidate")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="candidates that contain NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.2, help="of each wrk run")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--uploads", type=int, default=64, help="bodies in flight at once")
    parser.add_argument("--cores", type=int, nargs=2, help="of the server and of the load")
    parser.add_argument("--log", type=Path, default=Path(tempfile.gettempdir()) / "reference.log")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        CANDIDATES[options.serve].serve(options.port)
        return
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            parser.error(f"{tool} is not on PATH")
    options.cores = options.cores or sorted(os.sched_getaffinity(0))[:2]
    if len(options.cores) < 2:
        parser.error("needs two cores, one for the server and one for the load")
    if options.quick:
        options.rounds, options.seconds, options.uploads = 1, 0.6, 16

    results: dict[str, Figures] = {}
    for name, candidate in CANDIDATES.items():
        missing = [each for each in candidate.modules if importlib.util.find_spec(each) is None]
        if options.only and not any(part in name for part in (*options.only, REFERENCE)):
            continue
        if missing:
            print(f"skipped {name}: {', '.join(missing)} not installed", flush=True)
        elif not (options.quick and name in SLOW):
            results[name] = Figures()
    for number in range(options.rounds):
        for name in list(results):
            try:
                measure(name, results[name], options)
            except (RuntimeError, OSError) as error:
                print(f"skipped {name}: {error}; its output is in {options.log}", flush=True)
                del results[name]
            else:
                print(f"round {number + 1}: {name}", file=sys.stderr, flush=True)
    print(table(results, REFERENCE if REFERENCE in results else next(iter(results))))


if __name__ == "__main__":
    main()
