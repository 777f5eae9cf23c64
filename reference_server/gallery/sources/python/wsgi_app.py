"""The contract as a WSGI application, for gunicorn and waitress. Uploads are counted, not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, BinaryIO

from reference_server.endpoints import integer, json_items, query_integer, query_sum
from reference_server.messages import HttpError

PIECE = 64 * 1024


def count_body(body: BinaryIO) -> int:
    """The length of a body of any size; none of it is kept."""
    received = 0
    while piece := body.read(PIECE):
        received += len(piece)
    return received


def answer_to(environ: dict[str, Any]) -> tuple[HTTPStatus, str, bytes]:
    """Status, content type and body."""
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"].encode()
    try:
        if path == "/pipeline":
            return HTTPStatus.OK, "text/plain", b"ok"
        if path == "/baseline11":
            posted = environ["REQUEST_METHOD"] == "POST"
            body = environ["wsgi.input"].read() if posted else b"0"
            return HTTPStatus.OK, "text/plain", b"%d" % (query_sum(query) + integer(body))
        if path == "/upload":
            return HTTPStatus.OK, "text/plain", b"%d" % count_body(environ["wsgi.input"])
        if path.startswith("/json/"):
            count = integer(path.removeprefix("/json/").encode())
            items = json_items(count, query_integer(query, b"m", 1))
            return HTTPStatus.OK, "application/json", items
    except HttpError:
        return HTTPStatus.BAD_REQUEST, "text/plain", b""
    return HTTPStatus.NOT_FOUND, "text/plain", b""


def app(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> Iterable[bytes]:
    """The application."""
    status, content_type, body = answer_to(environ)
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]
