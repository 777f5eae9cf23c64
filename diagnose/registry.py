"""Plug-ins by file name: a rule, report or profiler is one new module in its package.

Third parties add theirs as entry points of the group named after the package, for example
`diagnose.analysis.rules`.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType


@cache
def modules(package: str) -> dict[str, ModuleType]:
    """All plug-in modules of a package by name, in alphabetical order.

    A third party's module of the same name replaces ours. Packages inside are rooms of their own.
    """
    home = importlib.import_module(package)
    found = {
        info.name: importlib.import_module(f"{package}.{info.name}")
        for info in pkgutil.iter_modules(home.__path__)
        if not info.name.startswith("_") and not info.ispkg
    }
    for point in entry_points(group=package):
        found[point.name] = point.load()
    return dict(sorted(found.items()))
