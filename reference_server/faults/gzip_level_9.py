"""Answers are compressed with zlib at level 9, for each request, where level 1 would do.

What a user sees: the cores are busy with compressing. The answers are a little smaller than those
of a fast level, and there are far fewer of them.
"""

from __future__ import annotations

import zlib

from reference_server.compression import (
    CODED,
    GZIP,
    GZIP_WINDOW_BITS,
    QUICKEST_FIRST,
    choose_coding,
)
from reference_server.entry import Entry
from reference_server.faults import Answer, complete, wrap_handlers
from reference_server.messages import Handler, Request, Response

SCENARIO = "compression"
CONNECTIONS = 16
TRUE_FINDINGS = ("compression_too_high",)
POSSIBLE_FINDINGS = ("slower_than_reference",)
FALSE_FINDINGS = (
    "downstream_wait",
    "gc_pressure",
    "low_cpu",
    "recompute_per_request",
    "single_threaded",
)

LEVEL = 9
ACCEPT = b"accept-encoding"


def strongly_compressed(handler: Handler) -> Handler:
    """The handler, with its answer compressed here when the client asks for gzip."""

    def compressing(request: Request) -> Answer:
        if choose_coding(request.header(ACCEPT), QUICKEST_FIRST) != GZIP:
            return handler(request)
        request.headers = [each for each in request.headers if each[0].lower() != ACCEPT]
        plain = complete(handler(request))
        body = zlib.compress(plain.body, LEVEL, GZIP_WINDOW_BITS)
        return Response(body, plain.content_type, plain.status, CODED[GZIP])

    return compressing


def apply(entry: Entry) -> Entry:
    """The entry that compresses as well as it can."""
    for path in (b"/json/", b"/compression"):
        entry = wrap_handlers(entry, strongly_compressed, path=path)
    return entry
