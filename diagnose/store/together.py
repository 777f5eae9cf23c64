"""The directory of an investigation or a comparison: what was decided, beside its runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from diagnose.errors import UsageError
from diagnose.store.writer import safe_label, write_whole


def make(output: Path, name: str, kind: str) -> Path:
    """A new directory. kind: `investigation` or `comparison`.

    Raises: UsageError when it cannot be made.
    """
    base = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{safe_label(name)}-{kind}"
    for number in range(100):
        path = output / (f"{base}-{number}" if number else base)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            why = f"{path} cannot be made: {error.strerror}"
            raise UsageError(f"{why}: name another directory (-o)") from None
        return path
    raise UsageError(f"{output} has a hundred of this second: remove some")


def write(directory: Path, kind: str, document: Mapping[str, Any], page: str) -> None:
    """Keeps it as it is so far, as JSON and as Markdown; a reader never sees a half of it."""
    text = json.dumps(document, indent=1) + "\n"
    write_whole(directory / f"{kind}.json", text.encode())
    write_whole(directory / f"{kind}.md", page.encode())
