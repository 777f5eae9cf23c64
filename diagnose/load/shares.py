"""How the responses of a window were shared out over the connections.

A place is what a connection is opened in, again and again: it keeps its number while its sockets
come and go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from diagnose.load.connection import Connection
from diagnose.model.load import Spread


@dataclass(frozen=True, slots=True)
class Places:
    """What each place of one worker has come to: responses of its earlier sockets, of the one that
    stands, and when that was opened; in the order of the places. any_answer: its request may go
    unanswered."""

    before: tuple[int, ...] = ()
    served: tuple[int, ...] = ()
    opened: tuple[float, ...] = ()
    connected: tuple[bool, ...] = ()
    any_answer: tuple[bool, ...] = ()


@dataclass(slots=True)
class Shares:
    """The responses of each place in a window, whether one socket stood there all the time, and
    when (monotonic seconds, the same clock in all workers) the one at the beginning was opened.

    Places whose request may go unanswered have -1 responses.
    """

    responses: list[int] = field(default_factory=list)
    stood: list[bool] = field(default_factory=list)
    opened: list[float] = field(default_factory=list)


def places(connections: Sequence[Connection]) -> Places:
    """All places as they are now."""
    return Places(
        tuple(connection.before for connection in connections),
        tuple(connection.served for connection in connections),
        tuple(connection.opened for connection in connections),
        tuple(connection.connected for connection in connections),
        tuple(connection.state.any for connection in connections),
    )


def shares(begin: Places, end: Places) -> Shares:
    """What lies between two moments."""
    count = range(len(begin.before))
    return Shares(
        [
            -1
            if end.any_answer[place]
            else end.before[place] + end.served[place] - begin.before[place] - begin.served[place]
            for place in count
        ],
        [
            begin.connected[place]
            and end.connected[place]
            and begin.opened[place] == end.opened[place]
            for place in count
        ],
        list(begin.opened),
    )


def interleaved(parts: Sequence[Shares]) -> Shares:
    """The places of all workers in the order in which they were opened. One worker may have opened
    all of its own before the next one began; those of one moment take turns."""
    longest = max((len(part.responses) for part in parts), default=0)
    order = [(part, row) for row in range(longest) for part in parts if row < len(part.responses)]
    order.sort(key=lambda place: place[0].opened[place[1]])
    return Shares(
        [part.responses[row] for part, row in order],
        [part.stood[row] for part, row in order],
        [part.opened[row] for part, row in order],
    )


def spread(every: Shares) -> Spread | None:
    """The responses of each connection that stood all the time and was served; None without any."""
    counts = sorted(
        responses
        for responses, stood in zip(every.responses, every.stood, strict=True)
        if stood and responses > 0
    )
    if not counts:
        return None

    def at(share: float) -> int:
        return counts[round(share * (len(counts) - 1))]

    return Spread(len(counts), counts[0], at(0.1), at(0.5), at(0.9), counts[-1])


def silent_late_share(every: Shares) -> float:
    """Of all pairs of a place without a response and one with some, the share in which the one
    without comes later; -1.0 without such pairs.

    Source: it is the Mann-Whitney statistic U over the number of pairs.
    """
    served = pairs = later = 0
    silent = every.responses.count(0)
    for responses in every.responses:
        if responses > 0:
            served += 1
        elif responses == 0:
            later += served
    pairs = served * silent
    return later / pairs if pairs else -1.0
