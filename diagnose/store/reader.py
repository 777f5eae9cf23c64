"""Reads a run directory, also one whose run was killed at any point."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from diagnose.errors import UsageError
from diagnose.model.load import LoadResult, LoadTick
from diagnose.model.profile import Profile, ProfileNote
from diagnose.model.run import SCHEMA, Manifest, Run
from diagnose.model.samples import Sample
from diagnose.store import layout

_log = logging.getLogger(__name__)
_Row = TypeVar("_Row")


def read_run(directory: Path) -> Run:
    """The run in a directory; parts that are missing are empty.

    Raises: UsageError when it is not a run directory, or one of a newer version.
    """
    path = directory / layout.MANIFEST
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{directory} is not a run directory: cannot read {layout.MANIFEST} "
            f"({error.strerror}). `diagnose run` prints the directory that it writes."
        ) from error
    try:
        schema = msgspec.json.decode(data, type=dict[str, object]).get("schema")
        if schema != SCHEMA:
            raise UsageError(
                f"{path} has schema {schema}, this version reads schema {SCHEMA}; "
                "use the version of diagnose that wrote it"
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    return Run(
        directory=str(directory),
        manifest=manifest,
        samples=tuple(_rows(directory / layout.SAMPLES, Sample)),
        ticks=tuple(_rows(directory / layout.TICKS, LoadTick)),
        load=_load(directory / layout.LOAD),
        profiles=_profiles(directory, manifest.profiles),
        waits=_profiles(directory, manifest.waits),
        memory_profiles=_profiles(directory, manifest.memory_profiles),
    )


def _load(path: Path) -> LoadResult | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=LoadResult)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path} is damaged: {error}") from error


def _rows(path: Path, kind: type[_Row]) -> list[_Row]:
    """The lines of a file; a last line that was cut off is left out, as is any damaged one."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    decoder = msgspec.json.Decoder(kind)
    rows: list[_Row] = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            rows.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            _log.warning("%s, line %d left out: %s", path.name, number, error)
    return rows


def _profiles(directory: Path, notes: Iterable[ProfileNote]) -> tuple[Profile, ...]:
    """Those whose stacks are there."""
    found = (_profile(directory / layout.PROFILES, note) for note in notes)
    return tuple(profile for profile in found if profile is not None)


def _profile(directory: Path, note: ProfileNote) -> Profile | None:
    if not note.file:
        return None
    try:
        text = (directory / Path(note.file).name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return Profile(note, parse_folded(text))


def parse_folded(text: str) -> tuple[tuple[tuple[str, ...], int], ...]:
    """Collapsed stacks: `frame;frame;frame count` a line, outermost first; other lines left out."""
    stacks: list[tuple[tuple[str, ...], int]] = []
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        if frames and count.isdecimal():
            stacks.append((tuple(frames.split(";")), int(count)))
    return tuple(stacks)
