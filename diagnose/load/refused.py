"""How a path that nobody serves is refused: a debug mode tells more there than it should."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from diagnose.load.asking import Site, conversed, told
from diagnose.load.conversation import Piece
from diagnose.load.probe import pieces_of
from diagnose.load.requests import shown
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import RequestTemplate

PATH = "/diagnose-asks-for-a-path-that-is-not-there"
# Django's page says what it is at its end, after 3 KB.
KEPT = 4096


def refusals(site: Site) -> Iterator[ProbeCheck]:
    """One check, named `unknown_path`; it passes whatever comes, and keeps more of the answer."""
    template = RequestTemplate("unknown_path", "GET", PATH)
    request = site.prepared(template)
    seen = conversed(site, [Piece(piece) for piece in pieces_of(request)])
    check = told("unknown_path", template, shown(request), seen, "")
    body = seen.responses[0].body if seen.responses else None
    head = seen.received.start.partition(b"\r\n\r\n")[0]
    if body:
        text = head + b"\r\n\r\n" + body[:KEPT]
        check = replace(check, response=text.decode("utf-8", errors="replace"))
    yield check
