"""The minimal contract app in the three forms that complete servers take: ASGI, RSGI and WSGI.

It is made from the same functions as the reference server, so that only the servers differ.
"""

from __future__ import annotations

from typing import Any

from reference_server.endpoints import integer, json_items, query_integer, query_sum
from reference_server.messages import HttpError

HOST = "127.0.0.1"
# Above any body sent here: a server's default limit must not decide the comparison.
BODY_LIMIT = 64 * 1024 * 1024
JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain"
# One read of a WSGI body takes at most this much.
PIECE = 1024 * 1024


def answer(method: str, path: str, query: bytes, body: bytes) -> tuple[int, str, bytes]:
    """The whole contract but for uploads: status, content type and body of the response."""
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
    """For uvicorn, hypercorn, granian, fastpysgi and gunicorn."""
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
    """For granian."""
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
    """For fastpysgi, bjoern, granian and gunicorn."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if path == "/upload":
        received = 0
        while part := environ["wsgi.input"].read(PIECE):
            received += len(part)
        status, kind, content = 200, TEXT_TYPE, b"%d" % received
    else:
        body = environ["wsgi.input"].read() if method == "POST" else b""
        query = (environ.get("QUERY_STRING") or "").encode()
        status, kind, content = answer(method, path, query, body)
    line = {200: "200 OK", 400: "400 Bad Request", 404: "404 Not Found"}.get(status, "405 No")
    start_response(line, [("Content-Type", kind), ("Content-Length", str(len(content)))])
    return [content]
