"""A POST without Content-Type is answered 415, as by a framework that chooses a reader by it.

What a user sees: by hand all is well, because curl sends a Content-Type with every body. The
requests of the benchmark carry none, and most of its requests fail at full speed: an answer of 415
is cheaper than a right one.
"""

from __future__ import annotations

from http import HTTPStatus

from reference_server.entry import Entry
from reference_server.faults import Answer, wrap_handlers
from reference_server.messages import Handler, HttpError, Request

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("content_type_dependent", "wrong_answers")
FALSE_FINDINGS = ("answered_before_body", "chunked_ignored", "errors", "length_not_read")


def only_with_type(handler: Handler) -> Handler:
    """The handler for a body that says what it is."""

    def demanding(request: Request) -> Answer:
        if not request.header(b"content-type"):
            raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        return handler(request)

    return demanding


def apply(entry: Entry) -> Entry:
    """The entry that refuses bodies of no type."""
    return wrap_handlers(entry, only_with_type, b"POST")
