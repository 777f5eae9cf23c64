"""Answers go to a cache that nothing is ever taken from, and that is never emptied.

What a user sees: memory grows within a second of load to a size that has nothing to do with what is
served, stays there, and is not given back when the load ends. The same load again adds nothing.
"""

from __future__ import annotations

from collections import deque

from reference_server.endpoints import json_2026_03, json_2026_04
from reference_server.entry import Entry
from reference_server.faults import complete, replace_route
from reference_server.messages import Handler, Request, Response, Route

SCENARIO = "json@2026-03"
CONNECTIONS = 64
TRUE_FINDINGS = ("memory_retained",)
FALSE_FINDINGS = (
    "body_buffered",
    "memory_blowup",
    "memory_leak",
    "memory_per_connection",
    "recompute_per_request",
)

# Of all workers together; below what would be called a blow-up.
CACHE_BYTES = 128 * 1024 * 1024


class Cache:
    """The newest answers, up to a size."""

    __slots__ = ("_answers", "_limit", "size")

    def __init__(self, limit: int) -> None:
        self._answers: deque[bytes] = deque()
        self._limit = limit
        self.size = 0

    def add(self, answer: bytes) -> None:
        """Keeps an answer, and drops the oldest ones when there are too many."""
        self._answers.append(answer)
        self.size += len(answer)
        while self.size > self._limit:
            self.size -= len(self._answers.popleft())


def cached(handler: Handler, cache: Cache) -> Handler:
    """The handler, with every answer put into the cache."""

    def keeping(request: Request) -> Response:
        answer = complete(handler(request))
        cache.add(answer.body)
        return answer

    return keeping


def apply(entry: Entry) -> Entry:
    """The entry that keeps the JSON that it has sent."""
    # Made before the workers are forked: each of them has a cache of its own.
    cache = Cache(CACHE_BYTES // entry.workers)
    changed = replace_route(entry, b"GET", b"/json", Route(cached(json_2026_03, cache)))
    return replace_route(changed, b"GET", b"/json/", Route(cached(json_2026_04, cache)))
