"""Profiles as the flame graph of a page needs them: frames told once, stacks as rows of numbers.

With time slices, a stack has its weight in each, so that the page can show a part of the timeline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from diagnose.analysis.profile_change import StackCost
from diagnose.model.profile import Profile, ProfileNote

# A frame's name longer than this is a template instantiation or an attack; nobody reads its end.
MOST_FRAME = 240
# Deeper stacks are recursion: the page would be all tower. What is above is cut, not lost.
MOST_DEPTH = 160
RARE = "(rare stacks)"
CUT = "(deeper frames)"
# What a weight is, in the words of the page, for the kinds of profiles that are not on-CPU.
UNITS = {"off-cpu": "threads", "lock": "looks", "memory": "bytes"}

Stack = tuple[str, ...]


def profiles(
    taken: Sequence[Profile],
    start: float,
    most_stacks: int,
    difference: Sequence[StackCost] = (),
) -> dict[str, Any]:
    """All profiles; `most_stacks` of each keep their frames, the lightest others become one.

    difference: what a request cost before and now is the last of them.
    """
    names: dict[str, int] = {}
    told = [_profile(profile, names, start, most_stacks) for profile in taken]
    if difference:
        told.append(_difference(difference, names, most_stacks))
    return {"profiles": told, "names": list(names)}


def _profile(
    profile: Profile, names: dict[str, int], start: float, most_stacks: int
) -> dict[str, Any]:
    weights: Counter[Stack] = Counter()
    for frames, count in profile.stacks:
        weights[_shown(frames)] += count
    kept = [stack for stack, _ in weights.most_common(most_stacks)]
    index = {stack: number for number, stack in enumerate(kept)}
    counts = [weights[stack] for stack in kept]
    rest = weights.total() - sum(counts)
    rows = [_numbers(stack, names) for stack in kept]
    if rest:
        rows.append(_numbers((RARE,), names))
        counts.append(rest)
    note = profile.note
    return {
        "pid": note.pid,
        "kind": note.kind,
        "file": note.file,
        "unit": UNITS.get(note.kind, "samples"),
        "each": _each(note),
        "label": f"PID {note.pid} ({note.runtime or 'unknown runtime'}, {note.profiler})",
        "rate": note.rate_hz,
        "samples": profile.weight,
        "stacks": rows,
        "counts": counts,
        "slices": _slices(profile, index, len(kept), start),
    }


def _each(note: ProfileNote) -> float:
    """What a weight of 1 stands for in the unit of the page: of sleeping threads their mean
    number."""
    if note.kind != "off-cpu":
        return 1.0
    if note.unit == "samples":
        return 1 / max(1, note.samples)
    return 1e-6 / note.seconds if note.seconds > 0 else 1e-6


def _difference(
    costs: Sequence[StackCost], names: dict[str, int], most_stacks: int
) -> dict[str, Any]:
    """The larger of both costs is the width; in nanoseconds of CPU time for each request."""
    before: Counter[Stack] = Counter()
    now: Counter[Stack] = Counter()
    for number, cost in enumerate(costs):
        stack = _shown(cost.frames) if number < most_stacks else (RARE,)
        before[stack] += round(cost.before * 1e9)
        now[stack] += round(cost.now * 1e9)
    kept = list(dict.fromkeys((*before, *now)))
    return {
        "kind": "difference",
        "file": "",
        "unit": "ns",
        "each": 1.0,
        "label": "difference to the base",
        "stacks": [_numbers(stack, names) for stack in kept],
        "counts": [max(before[stack], now[stack]) for stack in kept],
        "before": [before[stack] for stack in kept],
        "now": [now[stack] for stack in kept],
        "slices": [],
    }


def _numbers(stack: Stack, names: dict[str, int]) -> list[int]:
    return [names.setdefault(frame, len(names)) for frame in stack]


def _slices(
    profile: Profile, index: dict[Stack, int], rare: int, start: float
) -> list[dict[str, Any]]:
    """Each stretch of time with the stacks that were seen in it: flat pairs of stack, weight."""
    told = []
    for piece in getattr(profile, "slices", ()):
        weights: Counter[int] = Counter()
        for frames, count in piece.stacks:
            weights[index.get(_shown(frames), rare)] += count
        told.append(
            {
                "from": round(piece.started - start, 3),
                "to": round(piece.ended - start, 3),
                "pairs": [number for pair in sorted(weights.items()) for number in pair],
            }
        )
    return told


def _shown(frames: Stack) -> Stack:
    clipped = tuple(
        frame if len(frame) <= MOST_FRAME else f"{frame[: MOST_FRAME - 3]}..." for frame in frames
    )
    return clipped if len(clipped) <= MOST_DEPTH else (*clipped[: MOST_DEPTH - 1], CUT)
