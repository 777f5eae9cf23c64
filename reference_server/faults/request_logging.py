"""A line for each request is written to standard error before it is answered, and flushed.

What a user sees: a log that grows by megabytes per second, and a server that is as fast as its log.
On a slow disk, a terminal or a full pipe it stands still with it.
"""

from __future__ import annotations

import dataclasses
import logging

from reference_server.entry import Entry
from reference_server.http11 import Connection
from reference_server.messages import Request, Response

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("logging_per_request",)
POSSIBLE_FINDINGS = ("slower_than_reference",)
FALSE_FINDINGS = (
    "debug_mode",
    "downstream_wait",
    "exception_storm",
    "low_cpu",
    "single_threaded",
    "syscall_heavy",
)

log = logging.getLogger("reference_server.access")


class LoggingConnection(Connection):
    """A connection that tells of every request."""

    __slots__ = ()

    def respond(self, request: Request, response: Response) -> None:
        """Writes the line, then the response."""
        # logging's handler for streams flushes after each line, in the thread that writes it.
        log.info(
            '"%s ?%s" %d %d',
            request.method.decode("latin-1"),
            request.query.decode("latin-1"),
            response.status,
            len(response.body),
        )
        super().respond(request, response)


def apply(entry: Entry) -> Entry:
    """The entry with an access log."""
    return dataclasses.replace(entry, connection=LoggingConnection)
