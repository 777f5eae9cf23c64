"""When things are due: the schedule of an open loop, and pieces at a bounded rate."""

from __future__ import annotations

import math

# A paced connection sends or reads so often, in pieces of rate x this.
PIECE_S = 0.05


class Schedule:
    """Requests due at even distances, whatever the server does.

    rate: per second. phase: 0..1, where in the first interval the first one is due; workers take
    different phases, so that all of them together are even too.
    """

    def __init__(self, rate: float, start: float, phase: float = 0.0) -> None:
        self._interval = 1.0 / rate
        self._start = start + phase * self._interval
        self.taken = 0

    @property
    def next_due(self) -> float:
        """When the first request that was not taken is, or was, due."""
        return self._start + self.taken * self._interval

    def take(self) -> float:
        """Take the next request; the time that it is due."""
        due = self.next_due
        self.taken += 1
        return due

    def overdue(self, now: float) -> int:
        """Requests that are due and not taken."""
        if now < self._start:
            return 0
        return max(0, math.floor((now - self._start) / self._interval) + 1 - self.taken)


def piece(rate: float) -> int:
    """Bytes of one piece at `rate` bytes per second."""
    return max(1, int(rate * PIECE_S))
