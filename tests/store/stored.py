"""A run on disk, written as the recorder does: row by row, file by file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from diagnose.model.run import Run
from diagnose.store.writer import RunWriter

CREATED = datetime(2026, 4, 1, 12, 30, 15, tzinfo=UTC)


def store(parent: Path, run: Run, label: str = "my-server-baseline-c64") -> Path:
    """Write a run below `parent`; its directory."""
    writer = RunWriter(parent, CREATED, label)
    writer.manifest(run.manifest)
    with writer.samples_path.open("wb") as file:
        for sample in run.samples:
            file.write(msgspec.json.encode(sample) + b"\n")
    for tick in run.ticks:
        writer.tick(tick)
    if run.load is not None:
        writer.load(run.load)
    for profile in run.profiles:
        lines = (f"{';'.join(frames)} {count}\n" for frames, count in profile.stacks)
        text = "".join(lines)
        (writer.profiles_path / profile.note.file).write_text(text, encoding="utf-8")
    writer.close()
    return writer.path
