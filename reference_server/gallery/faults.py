"""The faults of the reference server as cases: each file of reference_server/faults is one."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from reference_server.faults import fault_names, load_fault
from reference_server.gallery.case import PORT, Case, Group


def fault_cases() -> Iterator[Case]:
    """A case for each fault that says how to load it (SCENARIO and CONNECTIONS in its file)."""
    for name in fault_names():
        fault = load_fault(name)
        said = vars(fault.module)
        if "SCENARIO" not in said:
            continue
        yield Case(
            name=name,
            group=Group.FAULT,
            runtime="python",
            title=fault.description.partition("\n")[0],
            command=(sys.executable, "-m", "reference_server", "--port", PORT, "--fault", name),
            scenario=said["SCENARIO"],
            connections=said["CONNECTIONS"],
            run_options=tuple(said.get("RUN_OPTIONS", ())),
            true_findings=fault.true_findings,
            possible_findings=tuple(said.get("POSSIBLE_FINDINGS", ())),
            false_findings=fault.false_findings,
        )


CASES = tuple(fault_cases())
