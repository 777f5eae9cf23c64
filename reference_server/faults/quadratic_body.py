"""The upload handler appends each piece to an immutable value: all that came before is copied.

What a user sees: an upload of 20 MiB takes not 40 but some 1,600 times the time of one of 500 kB.
The cores are busy with copying, memory grows by every body in flight, and few uploads are answered.
"""

from __future__ import annotations

from reference_server.endpoints import upload
from reference_server.entry import Entry
from reference_server.faults import replace_route
from reference_server.messages import Body, Route

# The profile with bodies of several sizes: how the time follows the size is what tells.
SCENARIO = "upload"
CONNECTIONS = 32
TRUE_FINDINGS = ("quadratic_body", "body_buffered", "memory_blowup")
# Each copy needs the old value and the new one; the allocator keeps a part of what was freed.
POSSIBLE_FINDINGS = (
    "body_copied",
    "cpu_without_progress",
    "memory_retained",
    "slow_tail",
    "slower_than_reference",
    "unfair",
)
FALSE_FINDINGS = (
    "body_spooled",
    "gc_pressure",
    "memory_leak",
    "single_threaded",
)


class QuadraticBody(Body):
    """A request body that is copied with every piece that arrives."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        super().__init__()
        self.kept = b""

    def feed(self, piece: bytes) -> None:
        """Makes a new value of the old one and the piece."""
        super().feed(piece)
        self.kept = self.kept + piece


def apply(entry: Entry) -> Entry:
    """The entry whose uploads are put together by copying."""
    return replace_route(entry, b"POST", b"/upload", Route(upload, QuadraticBody))
