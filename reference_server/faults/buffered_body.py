"""The upload handler holds the whole body in memory until it answers.

What a user sees: memory grows by the size of every upload in flight. One upload of 20 MiB goes
unnoticed; 256 at once need 5 GiB, and the server is killed or starts to swap.
"""

from __future__ import annotations

from reference_server.endpoints import upload
from reference_server.entry import Entry
from reference_server.faults import replace_route
from reference_server.messages import Body, Route

SCENARIO = "upload-20mb"
CONNECTIONS = 32
TRUE_FINDINGS = ("body_buffered", "memory_blowup")
FALSE_FINDINGS = ("body_copied", "body_spooled", "memory_leak", "quadratic_body", "single_threaded")


class BufferedBody(Body):
    """A request body that is kept to the last byte, however large."""

    __slots__ = ("pieces",)

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        """Keeps a piece that arrived."""
        super().feed(piece)
        # Pieces, and not one growing array: joining them would copy, which is another fault.
        self.pieces.append(piece)


def apply(entry: Entry) -> Entry:
    """The entry whose uploads are kept."""
    return replace_route(entry, b"POST", b"/upload", Route(upload, BufferedBody))
