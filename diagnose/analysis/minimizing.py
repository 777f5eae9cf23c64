"""The smallest load that still shows a symptom: what to try next, from what was seen so far.

One quantity at a time, in a fixed order; each by bisection between what showed it and what did not
(or the least that makes sense), in equal factors. A value is tried until two more runs say one
thing than the other: a run in which noise decided does not decide. It ends when the two are within
a quarter of each other, because nobody needs it nearer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# In this order: what makes the largest difference to whoever repeats it comes first.
QUANTITIES = ("connections", "body_bytes", "duration_s", "templates")
WHOLE = ("connections", "body_bytes", "templates")
# Factors between a value that shows it and one that does not.
NEAR = 1.25
# Votes: one more than the other at the first, so that two runs decide when they agree.
LEAD = 2
MOST_RUNS = 5


@dataclass(frozen=True, slots=True)
class Range:
    """A quantity: the value that is known to show it, and the least that is worth trying."""

    name: str
    value: float
    least: float


@dataclass(frozen=True, slots=True)
class Step:
    """A value that was tried: how many runs showed the symptom, of how many that told."""

    name: str
    value: float
    shown: int
    runs: int

    @property
    def decided(self) -> bool:
        """One more run would not change what it comes to."""
        lead = abs(2 * self.shown - self.runs)
        return lead >= LEAD or self.runs >= MOST_RUNS

    @property
    def shows(self) -> bool:
        """It shows the symptom: in more runs than not. A draw does not."""
        return 2 * self.shown > self.runs


@dataclass(slots=True)
class Minimizer:
    """Asks for values with `next`, is told with `tell`, and has `smallest` at any time."""

    ranges: Sequence[Range]
    steps: list[Step] = field(default_factory=list)
    _place: int = 0
    _shows: float = 0.0
    _hides: float = 0.0
    _found: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        if self._place < len(self.ranges):
            each = self.ranges[self._place]
            self._shows, self._hides = each.value, 0.0

    @property
    def smallest(self) -> Mapping[str, float]:
        """Each quantity's smallest value that showed it so far."""
        known = {each.name: each.value for each in self.ranges} | self._found
        if self._place < len(self.ranges):
            known[self.ranges[self._place].name] = self._shows
        return known

    def next(self) -> tuple[str, float] | None:
        """The quantity and the value to try; None when there is nothing left."""
        while self._place < len(self.ranges):
            each = self.ranges[self._place]
            if self._open():
                return each.name, self._middle()
            self._found[each.name] = self._shows
            self._place += 1
            self._begin()
        return None

    def _open(self) -> bool:
        """Something between is worth a try."""
        each = self.ranges[self._place]
        if self._shows <= each.least:
            return False
        low = self._hides or each.least
        if self._hides and self._shows / self._hides <= NEAR:
            return False
        middle = self._middle()
        return middle < self._shows and (not self._hides or middle > self._hides) and low > 0

    def _middle(self) -> float:
        """At first the least: many symptoms need next to nothing."""
        each = self.ranges[self._place]
        if not self._hides:
            return each.least
        middle = math.sqrt(self._shows * self._hides)
        if each.name in WHOLE:
            return float(round(middle))
        return round(middle, 2)

    def tell(self, shown: bool) -> Step:
        """One run of the value that `next` gave."""
        asked = self.next()
        assert asked is not None
        name, value = asked
        before = self.steps[-1] if self.steps else None
        again = before is not None and (before.name, before.value) == asked and not before.decided
        if again:
            assert before is not None
            self.steps.pop()
            step = Step(name, value, before.shown + shown, before.runs + 1)
        else:
            step = Step(name, value, int(shown), 1)
        self.steps.append(step)
        if step.decided and step.shows:
            self._shows = value
        elif step.decided:
            self._hides = value
        return step
