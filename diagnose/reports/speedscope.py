"""Profiles as speedscope reads them.

Source: the file format of speedscope, file-format-spec.ts, version 0.0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from diagnose.model.profile import Profile
from diagnose.model.report import Analyzed

FILE = "profile.speedscope.json"
SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def document(profiles: Sequence[Profile], name: str) -> dict[str, Any]:
    """One profile a process; weights are samples."""
    frames: dict[str, int] = {}
    told = []
    for profile in profiles:
        samples = [
            [frames.setdefault(frame, len(frames)) for frame in stack]
            for stack, _ in profile.stacks
        ]
        told.append(
            {
                "type": "sampled",
                "name": f"PID {profile.note.pid} ({profile.note.profiler}, {profile.note.kind})",
                "unit": "microseconds" if profile.note.unit == "us" else "none",
                "startValue": 0,
                "endValue": profile.weight,
                "samples": samples,
                "weights": [count for _, count in profile.stacks],
            }
        )
    return {
        "$schema": SCHEMA,
        "name": name,
        "exporter": "diagnose",
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": frame} for frame in frames]},
        "profiles": told,
    }


def render(profiles: Sequence[Profile], name: str) -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document(profiles, name))


def files(item: Analyzed) -> dict[str, bytes]:
    """The profiles of a run, of running and of sleeping threads, as a file beside it."""
    profiles = (*item.run.profiles, *item.run.waits)
    return {FILE: render(profiles, item.run.manifest.launch.name)}
