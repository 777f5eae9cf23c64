"""What a profiler's process of ours says on its standard output."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Before what a reader should know of a profile that was taken.
REMARK = "remark: "


class Refused(Exception):
    """There is no profile; the text says why, and what to do."""


@contextmanager
def file_refused(path: Path) -> Iterator[None]:
    """Raises: Refused with the remedy when a file below cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Refused(disk_full(path.parent)) from error
        raise Refused(f"cannot write {path}: {error.strerror}") from error


def disk_full(folder: Path) -> str:
    """What to do where there was no space for a profile."""
    return f"no space left in {folder}: free some, or set TMPDIR to a folder with more"


def remark(said: str) -> str:
    """The remark in what was said; '' without one."""
    lines = [line for line in said.splitlines() if line.startswith(REMARK)]
    return lines[-1].removeprefix(REMARK) if lines else ""


def last_words(said: str) -> str:
    """The last line that was said."""
    return (said.strip().splitlines()[-1:] or ["it said nothing"])[0][:300]
