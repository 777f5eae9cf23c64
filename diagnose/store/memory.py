"""Memory profiles that are added to a run which is over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from diagnose.model.profile import ProfileNote
from diagnose.store import layout
from diagnose.store.writer import write_whole


def write_profile(directory: Path, name: str, text: str) -> None:
    """A file beside the run's other profiles."""
    place = directory / layout.PROFILES
    place.mkdir(exist_ok=True)
    write_whole(place / name, text.encode())


def add_notes(directory: Path, notes: Sequence[ProfileNote]) -> None:
    """Says in `run.json` how they were taken; what else stands there stays as it is."""
    path = directory / layout.MANIFEST
    document = json.loads(path.read_bytes())
    document["memory_profiles"] = msgspec.to_builtins(list(notes))
    write_whole(path, json.dumps(document, indent=1).encode() + b"\n")
