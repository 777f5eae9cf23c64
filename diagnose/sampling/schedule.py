"""When something costly may be read again, and what was lowered for its cost."""

from __future__ import annotations

from dataclasses import dataclass

# Three readings a second show all that lasts; ten of a measured window do, where it is long.
FAIR_S = 1 / 3
LOOKS = 10
# Rounding of the times must not skip every other turn.
_EARLY_S = 0.001
# Lowered by less than this is no news.
_WORTH_TELLING = 0.8


@dataclass(frozen=True, slots=True)
class Lowered:
    """Something was read less often than it should have been: `rate_hz` on average since it first
    cost too much, instead of `wanted_hz`. cost_s: CPU seconds of one reading; share: how much of a
    core it may take."""

    what: str
    wanted_hz: float
    rate_hz: float
    cost_s: float
    share: float

    def __str__(self) -> str:
        return (
            f"{self.what}: read {self.rate_hz:.2g} times a second, not {self.wanted_hz:.3g}: one "
            f"reading took {self.cost_s * 1e3:.2g} ms of CPU time, and {self.share:.2%} of a core "
            "is spent on it at most"
        )


def fair_s(window_s: float) -> float:
    """The longest interval that the smaller share may lead to, for a measured window so long."""
    return max(FAIR_S, window_s / LOOKS)


class Schedule:
    """Something costly, at most every `every_s`, and less often when it would take more than a
    `share` of a core.

    With `fair`, a smaller share, it is lowered earlier, but by that no further than to one reading
    in `fair_s`. One expensive reading is forgiven: the first one opens files, and a busy host
    spoils caches.
    """

    def __init__(
        self, what: str, every_s: float, share: float, fair: float = 0.0, fair_s: float = FAIR_S
    ) -> None:
        self._what = what
        self._every = every_s
        self._share = share
        self._fair = fair or share
        self._fair_s = fair_s
        self.due_at = 0.0
        self._cost_before = 0.0
        self._interval = every_s
        self._lowered_at: float | None = None
        self._last = 0.0
        self._count = 0
        self._cost = 0.0

    @property
    def interval_s(self) -> float:
        """The time until the reading after the last one."""
        return self._interval

    def due(self, now: float) -> bool:
        """It may be done now."""
        return now >= self.due_at

    def now(self) -> None:
        """It is due, whatever it cost."""
        self.due_at = 0.0

    def done(self, now: float, cost_s: float, fair: float | None = None) -> None:
        """It was done, at that cost in CPU seconds. fair: instead of the schedule's own, now."""
        steady, self._cost_before = min(cost_s, self._cost_before), cost_s
        fair_s = min(self._fair_s, steady / (fair or self._fair))
        self._interval = max(self._every, fair_s, steady / self._share)
        self.due_at = now + self._interval - _EARLY_S
        if self._lowered_at is not None:
            self._count += 1
            self._cost += cost_s
            self._last = now
        elif self._interval > self._every:
            self._lowered_at = self._last = now

    def lowered(self) -> Lowered | None:
        """What to tell of it; None when it was read about as often as it should."""
        if self._lowered_at is None or self._count == 0 or self._last <= self._lowered_at:
            return None
        rate = self._count / (self._last - self._lowered_at)
        if rate >= _WORTH_TELLING / self._every:
            return None
        return Lowered(self._what, 1 / self._every, rate, self._cost / self._count, self._share)
