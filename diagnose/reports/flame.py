"""Profiles as the flame graph of a page needs them: frames told once, stacks as rows of numbers.

With time slices, a stack has its weight in each, so that the page can show a part of the timeline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from diagnose.model.profile import Profile

# A frame's name longer than this is a template instantiation or an attack; nobody reads its end.
MOST_FRAME = 240
# Deeper stacks are recursion: the page would be all tower. What is above is cut, not lost.
MOST_DEPTH = 160
RARE = "(rare stacks)"
CUT = "(deeper frames)"

Stack = tuple[str, ...]


def profiles(taken: Sequence[Profile], start: float, most_stacks: int) -> dict[str, Any]:
    """All profiles; `most_stacks` of each keep their frames, the lightest others become one."""
    names: dict[str, int] = {}
    return {
        "profiles": [_profile(profile, names, start, most_stacks) for profile in taken],
        "names": list(names),
    }


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
    rows = [[names.setdefault(frame, len(names)) for frame in stack] for stack in kept]
    if rest:
        rows.append([names.setdefault(RARE, len(names))])
        counts.append(rest)
    note = profile.note
    return {
        "pid": note.pid,
        "label": f"PID {note.pid} ({note.runtime or 'unknown runtime'}, {note.profiler})",
        "rate": note.rate_hz,
        "samples": profile.weight,
        "stacks": rows,
        "counts": counts,
        "slices": _slices(profile, index, len(kept), start),
    }


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
