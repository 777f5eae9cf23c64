"""An upload is answered when its head has arrived; the body is read afterwards, and dropped.

What a user sees: an upload rate that no network and no disk could have, and answers to bodies that
the client goes on to send, or never sends at all. A client that stops at the answer leaves the rest
of the body on the connection; one that breaks off in the middle has been told that all is well.
"""

from __future__ import annotations

import dataclasses

from reference_server.endpoints import upload
from reference_server.entry import Entry
from reference_server.http11 import Connection
from reference_server.messages import Request, Response
from reference_server.shared import Shared

SCENARIO = "upload-20mb"
CONNECTIONS = 32
TRUE_FINDINGS = ("answered_before_body",)
# What it answers can only come from Content-Length.
POSSIBLE_FINDINGS = ("length_not_read",)
FALSE_FINDINGS = ("body_buffered", "body_spooled", "chunked_ignored", "content_type_dependent")


class HastyConnection(Connection):
    """A connection that answers an upload before it has seen any of it."""

    __slots__ = ("_hasty",)

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._hasty: Request | None = None  # Answered, its body still on the way.

    def head_complete(self, request: Request) -> None:
        """Answers an upload that says how long it is, unless other answers have to come first."""
        super().head_complete(request)
        if request.handler is not upload:
            return
        length = request.header(b"content-length")
        if not length or self._closing or self._waiting or self._answering or not self._writable:
            return
        request.keep_alive = self.keeps_open()
        if request.keep_alive:
            self._hasty = request
            self.respond(request, Response(length))

    def dispatch(self, request: Request) -> None:
        """Answers what is not answered yet."""
        if request is self._hasty:
            self._hasty = None
        else:
            super().dispatch(request)


def apply(entry: Entry) -> Entry:
    """The entry that does not wait for uploads."""
    return dataclasses.replace(entry, connection=HastyConnection)
