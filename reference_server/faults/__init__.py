"""The faults: each file here is the healthy entry with one thing changed.

The name of the file is the name on the command line. A fault has a docstring that says what is
wrong and what a user sees, and three names:

    TRUE_FINDINGS    the findings that a diagnosis of it should report
    FALSE_FINDINGS   findings that look alike and would be wrong
    apply(entry)     returns the entry with the fault

To add one, add a file: usually it is `dataclasses.replace(entry, ...)` around a changed number,
a wrapped handler (`replace_route`), another `Body`, or a subclass of `Connection`.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from reference_server.entry import Entry
from reference_server.messages import Route


class FaultModule(Protocol):
    """What a file in this package has to define."""

    TRUE_FINDINGS: tuple[str, ...]
    FALSE_FINDINGS: tuple[str, ...]

    def apply(self, entry: Entry) -> Entry:
        """The entry with this fault."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, as its file declares it; `description` is the file's docstring."""

    name: str
    description: str
    true_findings: tuple[str, ...]
    false_findings: tuple[str, ...]
    module: FaultModule

    def apply(self, entry: Entry) -> Entry:
        """The entry with this fault."""
        return self.module.apply(entry)


def fault_names() -> list[str]:
    """The names of all faults, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load_fault(name: str) -> Fault:
    """Raises: ModuleNotFoundError when no fault has this name."""
    module = cast("FaultModule", importlib.import_module(f"{__name__}.{name}"))
    return Fault(
        name, (module.__doc__ or "").strip(), module.TRUE_FINDINGS, module.FALSE_FINDINGS, module
    )


def replace_route(entry: Entry, method: bytes, path: bytes, route: Route) -> Entry:
    """The entry with another route for one method of one path."""
    methods: Mapping[bytes, Route] = {**entry.routes[path], method: route}
    return dataclasses.replace(entry, routes={**entry.routes, path: methods})
