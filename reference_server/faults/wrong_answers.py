"""A handler keeps its result in a variable that all requests share, and reads it a moment later.

What a user sees: right answers by hand and in every test, one request after the other. Under load
many requests are answered with the result of another one, with status 200 and at full speed.
"""

from __future__ import annotations

import asyncio

from reference_server.endpoints import baseline, baseline_post
from reference_server.entry import Entry
from reference_server.faults import complete, replace_route
from reference_server.messages import Handler, Request, Response, Route, SmallBody

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("wrong_answers",)
POSSIBLE_FINDINGS = ("slower_than_reference",)
FALSE_FINDINGS = (
    "answered_before_body",
    "chunked_ignored",
    "content_type_dependent",
    "errors",
    "length_not_read",
)


class LastResult:
    """The result of whichever request has computed one last."""

    __slots__ = ("response",)

    def __init__(self) -> None:
        self.response = Response(b"")


def sharing(handler: Handler, last: LastResult) -> Handler:
    """The handler, with another request let in between its result and its answer."""

    async def racing(request: Request) -> Response:
        last.response = complete(handler(request))
        await asyncio.sleep(0)
        return last.response

    return racing


def apply(entry: Entry) -> Entry:
    """The entry whose sums are mixed up."""
    last = LastResult()
    changed = replace_route(entry, b"GET", b"/baseline11", Route(sharing(baseline, last)))
    return replace_route(
        changed, b"POST", b"/baseline11", Route(sharing(baseline_post, last), SmallBody)
    )
