"""Drivers: other people's load generators, found on PATH, one module each.

A module is a driver when it has PROGRAM, INSTALL, `judge`, `command` and `parse` (`Driver`). The
same scenario goes in and the same LoadResult comes out; what a driver cannot do is said
(docs/drivers.md).
"""

from __future__ import annotations

import shutil
from typing import cast

from diagnose import registry
from diagnose.errors import UsageError
from diagnose.load.drivers._driver import (
    LOG_NAME,
    Driver,
    DriverOutputError,
    DriverReport,
    Judgement,
)
from diagnose.load.drivers._result import result

__all__ = [
    "LOG_NAME",
    "Driver",
    "DriverOutputError",
    "DriverReport",
    "Judgement",
    "driver",
    "missing",
    "names",
    "result",
]


def names() -> list[str]:
    """All drivers that there are, installed or not."""
    return list(registry.modules("diagnose.load.drivers"))


def driver(name: str) -> Driver:
    """The driver of that name, whether its program is installed or not.

    Raises: UsageError.
    """
    found = registry.modules("diagnose.load.drivers").get(name)
    if found is None:
        raise UsageError(f"no driver {name!r}; there are {', '.join(names())}")
    return cast(Driver, found)


def missing(chosen: Driver) -> str:
    """'' when the driver's program is on PATH, else what to do."""
    if shutil.which(chosen.PROGRAM):
        return ""
    return f"{chosen.PROGRAM} is not on PATH: {chosen.INSTALL}; or run without --driver"
