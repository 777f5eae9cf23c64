"""The body of an upload is written to a temporary file, as many frameworks do above a limit.

What a user sees: memory stays flat, but the disk, or the page cache in front of it, takes every
byte that is uploaded. Throughput is that of the disk once the cache is full, and many large uploads
at once can fill it.
"""

from __future__ import annotations

import tempfile

from reference_server.endpoints import upload
from reference_server.entry import Entry
from reference_server.faults import replace_route
from reference_server.messages import Body, Request, Response, Route

SCENARIO = "upload-20mb"
CONNECTIONS = 32
TRUE_FINDINGS = ("body_spooled",)
POSSIBLE_FINDINGS = ("low_cpu", "slow_tail", "slower_than_reference", "stalls", "unfair")
FALSE_FINDINGS = (
    "body_buffered",
    "body_copied",
    "memory_blowup",
    "memory_leak",
    "memory_retained",
    "quadratic_body",
)

# As usual in Python's frameworks: smaller bodies stay in memory.
SPOOL_BYTES = 1024 * 1024


class SpooledBody(Body):
    """A request body in a file without a name: gone with the request, or with the process."""

    __slots__ = ("file",)

    def __init__(self) -> None:
        super().__init__()
        self.file = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115

    def feed(self, piece: bytes) -> None:
        """Writes a piece that arrived."""
        super().feed(piece)
        self.file.write(piece)


def spooled_upload(request: Request) -> Response:
    """How many bytes of the body were read."""
    assert isinstance(request.body, SpooledBody)
    request.body.file.close()
    return upload(request)


def apply(entry: Entry) -> Entry:
    """The entry whose uploads go to the disk first."""
    return replace_route(entry, b"POST", b"/upload", Route(spooled_upload, SpooledBody))
