"""Reads what an investigation decided, for the reports of its first run."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from diagnose.errors import UsageError
from diagnose.model.investigated import Investigated

FILE = "investigation.json"
SCHEMA = 1


def read_investigation(directory: Path) -> Investigated | None:
    """The investigation of a directory; None where it holds none.

    Raises: UsageError when it is damaged, or of a newer version.
    """
    path = directory / FILE
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    try:
        # Python's own reader: a figure that is not finite was written as NaN or Infinity.
        read = msgspec.convert(json.loads(data), type=Investigated)
    except (ValueError, msgspec.MsgspecError) as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    if read.schema != SCHEMA:
        raise UsageError(
            f"{path} has schema {read.schema}, this version reads schema {SCHEMA}; "
            "use the version of diagnose that wrote it"
        )
    return read


def first_run(directory: Path, read: Investigated) -> Path:
    """The directory of its first run: beside it, or where it was when the investigation was made.

    Raises: UsageError when it is in neither place.
    """
    for place in (directory / Path(read.base).name, Path(read.base)):
        if place.is_dir():
            return place
    raise UsageError(f"the first run of {directory} is gone: {read.base} is no directory")


def investigation_of(run: Path) -> Investigated | None:
    """The investigation that began with this run and stands around it; None where there is none."""
    place = run.resolve()
    read = read_investigation(place.parent)
    return read if read is not None and Path(read.base).name == place.name else None
