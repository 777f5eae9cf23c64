"""Which language runtime each process of the server is."""

from __future__ import annotations

from diagnose.model.run import Run


def runtime_of(run: Run, pid: int) -> str:
    """The runtime of a process; '' where it is not known.

    Runtimes are told once, when the server is ready: a process that came later has that of the
    others, where these are all of one kind.
    """
    runtimes = run.manifest.launch.runtimes
    if pid in runtimes:
        return runtimes[pid]
    kinds = set(runtimes.values())
    return kinds.pop() if len(kinds) == 1 else ""
