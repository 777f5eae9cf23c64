"""Where the server keeps what it makes at first use: the database, the static files, the key."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

# Part of the directory's name: raise it when what is made changes, and everything is made anew.
EDITION = 1


def cache_directory() -> Path:
    """The directory of this edition, below $XDG_CACHE_HOME or ~/.cache; it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "httparena-diagnose" / f"reference-{EDITION}"


def made_once(path: Path, make: Callable[[Path], None]) -> Path:
    """The file or directory `path`, which `make` has made if it was not there.

    Raises: OSError when it cannot be made.
    """
    if path.exists():
        return path
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # It is made under another name and then renamed, so that no other process finds half of it.
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        made = Path(scratch, path.name)
        make(made)
        try:
            made.rename(path)
        except OSError:
            # A directory cannot replace another: a second server was faster, with the same.
            if not path.exists():
                raise
    return path
