"""A chunked body is read and dropped: the handlers find an empty one.

What a user sees: requests with Content-Length are answered right. With `Transfer-Encoding:
chunked`, which proxies and many clients use, the sum leaves the body out and an upload has 0 bytes.
A benchmark that compares no bodies counts it all as success.
"""

from __future__ import annotations

from reference_server.endpoints import baseline, baseline_post, upload
from reference_server.entry import Entry
from reference_server.faults import complete, replace_route
from reference_server.messages import Body, Handler, Request, Response, Route, SmallBody

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("chunked_ignored", "wrong_answers")
FALSE_FINDINGS = ("answered_before_body", "content_type_dependent", "errors", "length_not_read")


def without_chunks(handler: Handler, empty: Handler) -> Handler:
    """The handler for bodies with a length, and another one for what it does with none."""

    def ignoring(request: Request) -> Response:
        chunked = request.header(b"transfer-encoding").lower() == b"chunked"
        return complete((empty if chunked else handler)(request))

    return ignoring


def no_bytes(request: Request) -> Response:
    """The length of no body."""
    return Response(b"0")


def apply(entry: Entry) -> Entry:
    """The entry that takes chunked bodies for empty ones."""
    sums = Route(without_chunks(baseline_post, baseline), SmallBody)
    changed = replace_route(entry, b"POST", b"/baseline11", sums)
    lengths = Route(without_chunks(upload, no_bytes), Body)
    return replace_route(changed, b"POST", b"/upload", lengths)
