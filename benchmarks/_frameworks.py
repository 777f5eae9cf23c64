"""The contract app on frameworks that have handlers of their own: one process, no access log."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from benchmarks._apps import BODY_LIMIT, HOST, TEXT_TYPE, answer

Serve = Callable[[int], None]


def serve_uvicorn(app: Any) -> Serve:
    """An ASGI app on uvicorn."""

    def serve(port: int) -> None:
        import uvicorn

        uvicorn.run(
            app,
            host=HOST,
            port=port,
            loop="uvloop",
            http="httptools",
            log_level="warning",
            access_log=False,
        )

    return serve


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
    serve_uvicorn(Application(router=router))(port)


def serve_falcon(port: int) -> None:
    import falcon.asgi

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
    serve_uvicorn(app)(port)


def serve_robyn(port: int) -> None:
    os.environ["ROBYN_MAX_PAYLOAD_SIZE"] = str(BODY_LIMIT)
    sys.argv = [sys.argv[0], "--processes", "1", "--workers", "1", "--log-level", "ERROR"]
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
    # Nothing but these refers to a response while its request's body arrives. The callback for the
    # body is given its address, and crashed the process when it had been collected.
    under_way: set[Any] = set()

    def query_of(request: Any) -> bytes:
        url: str = request.get_full_url()
        return url.partition("?")[2].encode()

    def reply(response: Any, status: int, kind: str, content: bytes) -> None:
        response.write_status(status)
        response.write_header("Content-Type", kind)
        response.end(content)
        under_way.discard(response)

    def other(response: Any, request: Any) -> None:
        reply(response, *answer("GET", request.get_url(), query_of(request), b""))

    def post(response: Any, request: Any) -> None:
        path, query = request.get_url(), query_of(request)
        parts: list[bytes] = []

        def on_data(response: Any, part: bytes | None, last: bool) -> None:
            parts.append(part or b"")
            if last:
                reply(response, *answer("POST", path, query, b"".join(parts)))

        under_way.add(response)
        response.on_aborted(under_way.discard)
        response.on_data(on_data)

    def upload(response: Any, request: Any) -> None:
        received = 0

        def on_data(response: Any, part: bytes | None, last: bool) -> None:
            nonlocal received
            received += len(part or b"")
            if last:
                reply(response, 200, TEXT_TYPE, b"%d" % received)

        under_way.add(response)
        response.on_aborted(under_way.discard)
        response.on_data(on_data)

    app.get("/*", other)
    app.post("/upload", upload)
    app.post("/*", post)
    app.listen(AppListenOptions(port=port, host=HOST))
    app.run()
