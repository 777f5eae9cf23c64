"""Burns 8.4, 4.2 and 1.4 ms of CPU time a request, times a random 0.5 to 1.5.

For ASGI, WSGI and RSGI servers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from random import uniform
from time import thread_time
from typing import Any


def burn_sixty(scale: float) -> None:
    """6 of 10."""
    end = thread_time() + 0.0084 * scale
    while thread_time() < end:
        for _ in range(500):
            pass


def burn_thirty(scale: float) -> None:
    """3 of 10."""
    end = thread_time() + 0.0042 * scale
    while thread_time() < end:
        for _ in range(500):
            pass


def burn_ten(scale: float) -> None:
    """1 of 10."""
    end = thread_time() + 0.0014 * scale
    while thread_time() < end:
        for _ in range(500):
            pass


def burn() -> bytes:
    """All three, and the answer."""
    scale = uniform(0.5, 1.5)
    burn_sixty(scale)
    burn_thirty(scale)
    burn_ten(scale)
    return b"ok"


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """For uvicorn."""
    if scope["type"] != "http":
        return
    body = burn()
    headers = [(b"content-length", b"2"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def rsgi(scope: Any, protocol: Any) -> None:
    """For granian."""
    protocol.response_str(200, [("content-type", "text/plain")], burn().decode())


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """For gunicorn."""
    body = burn()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [body]
