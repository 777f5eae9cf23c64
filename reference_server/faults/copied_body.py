"""The upload handler keeps the body twice: the pieces as they came, and a copy in one buffer.

What a user sees: memory grows by twice the size of every upload in flight. A host that would do for
the bodies themselves runs out of memory at half of the connections, and the copying costs CPU time.
"""

from __future__ import annotations

from reference_server.endpoints import upload
from reference_server.entry import Entry
from reference_server.faults import replace_route
from reference_server.messages import Body, Route

SCENARIO = "upload-20mb"
CONNECTIONS = 32
TRUE_FINDINGS = ("body_copied", "memory_blowup")
# It is buffered as well, twice; and the allocator keeps a part of what was freed.
POSSIBLE_FINDINGS = ("body_buffered", "memory_retained", "slower_than_reference")
FALSE_FINDINGS = (
    "body_spooled",
    "memory_leak",
    "quadratic_body",
    "single_threaded",
)


class CopiedBody(Body):
    """A request body that is kept as it came, and once more in one piece."""

    __slots__ = ("decoded", "raw")

    def __init__(self) -> None:
        super().__init__()
        self.raw: list[bytes] = []
        self.decoded = bytearray()

    def feed(self, piece: bytes) -> None:
        """Keeps a piece that arrived, and copies it."""
        super().feed(piece)
        self.raw.append(piece)
        self.decoded += piece


def apply(entry: Entry) -> Entry:
    """The entry whose uploads are kept twice."""
    return replace_route(entry, b"POST", b"/upload", Route(upload, CopiedBody))
