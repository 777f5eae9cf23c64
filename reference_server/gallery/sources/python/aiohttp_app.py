"""The contract in aiohttp, one process, as its documentation begins: python aiohttp_app.py PORT."""

from __future__ import annotations

import sys

from aiohttp import web

from reference_server.endpoints import query_sum


async def pipeline(request: web.Request) -> web.Response:
    """The shortest answer there is."""
    return web.Response(text="ok")


async def baseline(request: web.Request) -> web.Response:
    """The sum of the query's values and the body."""
    body = await request.read()
    return web.Response(text=str(query_sum(request.query_string.encode()) + int(body or b"0")))


async def upload(request: web.Request) -> web.Response:
    """How many bytes of the body were read."""
    received = 0
    async for piece in request.content.iter_any():
        received += len(piece)
    return web.Response(text=str(received))


def application() -> web.Application:
    """The three endpoints."""
    app = web.Application()
    app.router.add_get("/pipeline", pipeline)
    app.router.add_get("/baseline11", baseline)
    app.router.add_post("/baseline11", baseline)
    app.router.add_post("/upload", upload)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]), access_log=None)
