"""An upload is answered with its Content-Length, and not with the number of bytes read.

What a user sees: nothing, as long as every client says how long its body is. A chunked upload,
which has no Content-Length, is answered 0: the server never knew how much it had read.
"""

from __future__ import annotations

from reference_server.entry import Entry
from reference_server.faults import replace_route
from reference_server.messages import Request, Response, Route

SCENARIO = "upload-20mb"
CONNECTIONS = 32
TRUE_FINDINGS = ("length_not_read",)
# A chunked upload shows it, and looks as if chunks were ignored.
POSSIBLE_FINDINGS = ("chunked_ignored", "wrong_answers")
FALSE_FINDINGS = ("answered_before_body", "body_buffered", "content_type_dependent", "errors")


def announced(request: Request) -> Response:
    """What the client said that it would send."""
    return Response(request.header(b"content-length") or b"0")


def apply(entry: Entry) -> Entry:
    """The entry that believes the client."""
    return replace_route(entry, b"POST", b"/upload", Route(announced))
