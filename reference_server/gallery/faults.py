"""The faults of the reference server as cases: each file of reference_server/faults is one."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from reference_server.faults import fault_names, load_fault
from reference_server.gallery.case import PORT, Case, Group


def fault_cases() -> Iterator[Case]:
    """A case for each fault."""
    for name in fault_names():
        fault = load_fault(name)
        yield Case(
            name=name,
            group=Group.FAULT,
            runtime="python",
            title=fault.description.partition("\n")[0].removesuffix("."),
            command=(sys.executable, "-m", "reference_server", "--port", PORT, "--fault", name),
            scenario=fault.scenario,
            connections=fault.connections,
            run_options=fault.run_options,
            true_findings=fault.true_findings,
            possible_findings=fault.possible_findings,
            false_findings=fault.false_findings,
        )


CASES = tuple(fault_cases())
