"""The scenarios that ship with the package, and those that a user names by path."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from diagnose.errors import UsageError
from diagnose.model.scenario import Scenario
from diagnose.scenario.toml_file import parse_scenario


@cache
def shipped() -> Mapping[str, Scenario]:
    """All scenarios of the package by file name, in alphabetical order; read once a process."""
    home = resources.files("scenarios")
    files = sorted(item.name for item in home.iterdir() if item.name.endswith(".toml"))
    parsed = {
        name.removesuffix(".toml"): parse_scenario(
            (home / name).read_text(encoding="utf-8"), name.removesuffix(".toml")
        )
        for name in files
    }
    return MappingProxyType(parsed)


def find_scenario(name: str) -> Scenario:
    """The scenario of that name, of `NAME@ROUND`, or of a path that ends in `.toml`.

    A bare name means the newest round.

    Raises: UsageError with the closest names.
    """
    if name.endswith(".toml"):
        return read_scenario(Path(name))
    known = shipped()
    if name in known:
        return known[name]
    wanted, _, round_name = name.partition("@")
    matches = [
        scenario
        for key, scenario in known.items()
        if key.partition("@")[0] == wanted
        and (not round_name or round_name in scenario.round.split())
    ]
    if matches:
        return max(matches, key=lambda scenario: scenario.round)
    bare = sorted({key.partition("@")[0] for key in known})
    close = difflib.get_close_matches(wanted, bare, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    raise UsageError(
        f"no scenario {name!r}{hint} Known: {', '.join(bare)}, or a path to a .toml file. "
        "`diagnose scenarios` describes them."
    )


def read_scenario(path: Path) -> Scenario:
    """A user's own scenario file.

    Raises: UsageError when it cannot be read or is not a scenario.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the scenario {path}: {error}") from error
    return parse_scenario(text, os.fsencode(path.stem).decode(errors="replace"))
