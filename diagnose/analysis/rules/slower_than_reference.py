"""The server answers fewer requests than the reference server does with the same load here.

A rate by itself says little: a slow machine, a heavy profile and a slow server look alike. The
reference server of this project does the same work, healthily, in Python. This rule compares a run
with one of the reference server on the same machine; a single run holds none, so it is unknown,
with the command that decides.
"""

from __future__ import annotations

from diagnose.analysis.build import unknown
from diagnose.model.finding import Finding, Kind
from diagnose.model.run import Run

KIND = Kind.SYMPTOM
NEEDS = ("client_saturated", "connections_missing", "host_noisy")


def check(run: Run) -> Finding:
    """Unknown, with the run of the reference server that would decide."""
    scenario = run.manifest.scenario
    return unknown(
        __name__,
        KIND,
        f"a run of the reference server decides: `diagnose run {scenario.name} -c "
        f"{run.manifest.connections} --against reference -- ...`",
    )
