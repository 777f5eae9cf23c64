"""The contract as an ASGI application: for uvicorn and granian. Uploads are counted and dropped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from reference_server.endpoints import integer, json_items, query_integer, query_sum
from reference_server.messages import HttpError

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


async def body_of(receive: Receive) -> bytes:
    """A small body, whole."""
    body = b""
    while True:
        event = await receive()
        piece: bytes = event.get("body", b"")
        body += piece
        if not event.get("more_body"):
            return body


async def count_body(receive: Receive) -> int:
    """The length of a body of any size; none of it is kept."""
    received = 0
    while True:
        event = await receive()
        received += len(event.get("body", b""))
        if not event.get("more_body"):
            return received


async def answer_to(scope: Event, receive: Receive) -> tuple[int, bytes, bytes]:
    """Status, content type and body."""
    path, query = scope["path"], scope["query_string"]
    try:
        if path == "/pipeline":
            return 200, b"text/plain", b"ok"
        if path == "/baseline11":
            body = await body_of(receive) if scope["method"] == "POST" else b"0"
            return 200, b"text/plain", b"%d" % (query_sum(query) + integer(body))
        if path == "/upload":
            return 200, b"text/plain", b"%d" % await count_body(receive)
        if path.startswith("/json/"):
            count = integer(path.removeprefix("/json/").encode())
            return 200, b"application/json", json_items(count, query_integer(query, b"m", 1))
    except HttpError:
        return 400, b"text/plain", b""
    return 404, b"text/plain", b""


async def app(scope: Event, receive: Receive, send: Send) -> None:
    """The application; it has nothing to do at start and end."""
    if scope["type"] != "http":
        return
    status, content_type, body = await answer_to(scope, receive)
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
