"""The gallery: servers of which it is known what is wrong with them, and healthy ones.

`diagnose selftest` runs each case and holds what was found against what is declared here. To add a
case, add it to the module of its runtime, or a module to FAMILIES; its sources go to sources/.
"""

from __future__ import annotations

import importlib

from reference_server.gallery.building import BuildFailed
from reference_server.gallery.case import Case, Group, Needs

__all__ = ["FAMILIES", "BuildFailed", "Case", "Group", "Needs", "cases"]

# Modules with CASES. They are loaded by cases(), not with the package: the servers' own
# applications are below it, and have nothing to do with the list.
FAMILIES = ("edges", "nginx", "python", "node", "go", "java", "c", "wild", "faults")


def cases() -> tuple[Case, ...]:
    """Every case; names are unique."""
    modules = [importlib.import_module(f"{__name__}.{family}") for family in FAMILIES]
    return tuple(case for module in modules for case in module.CASES)
