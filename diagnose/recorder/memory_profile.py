"""What holds the memory, line by line: the server once more, below a memory profiler.

A launch of its own: no figure of the run comes from it, and what goes wrong in it is said and
leaves the run as it is.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from diagnose import registry
from diagnose.errors import DiagnoseError, UsageError
from diagnose.model.profile import ProfileNote
from diagnose.model.run import Run
from diagnose.profilers.memory._held import Held
from diagnose.recorder.options import Observer, RunOptions
from diagnose.recorder.recording import record
from diagnose.store import memory as store
from diagnose.store.reader import read_run

ROOM = "diagnose.profilers.memory"
# memray names the line that holds a body, scalene that which allocated; a load this long is seen by
# all.
ORDER = ("memray", "scalene", "class_histogram", "heap_sampling", "page_faults")
PLACES = {"class_histogram": "classes", "page_faults": "page faults"}
WARM_UP_S, WINDOW_S, IDLE_S, COOLDOWN_S = 0.3, 2.0, 0.3, 0.3


def check_name(name: str) -> None:
    """Raises: UsageError when there is no such memory profiler."""
    if name and name != "auto" and name not in registry.modules(ROOM):
        raise UsageError(
            f"no memory profiler {name!r}: auto, {', '.join(sorted(registry.modules(ROOM)))}"
        )


def memory_profile(directory: Path, options: RunOptions, name: str, observer: Observer) -> None:
    """Profile the memory of a run's server in a second launch, and keep it with the run.

    Raises: UsageError for an unknown profiler, or a server that was attached to.
    """
    check_name(name)
    if options.attach_pid is not None:
        raise UsageError("a memory profile launches the server: use `diagnose run`")
    run = read_run(directory)
    if run.manifest.state != "complete":
        return
    runtimes = sorted(set(run.manifest.launch.runtimes.values()))
    chosen, module, why = _chosen(name, runtimes)
    held = [Held(-1, "", 0, why)] if module is None else _profiled(run, options, module, observer)
    read = [one for one in runtimes if module is not None and one in module.RUNTIMES]
    runtime = ", ".join(read or runtimes)
    notes = []
    for one in held:
        file = f"{chosen}-{max(one.pid, 0)}.memory.folded" if one.folded else ""
        note = ProfileNote(
            chosen, one.pid, runtime, 0, one.records, 0, file, one.remedy, "memory", "bytes",
            WINDOW_S,
        )  # fmt: skip
        notes.append(note)
        if file:
            store.write_profile(directory, file, one.folded)
        if one.raw:
            store.write_profile(directory, f"{chosen}.json", one.raw)
        places = PLACES.get(chosen, "places of allocation")
        observer.note(f"{chosen}: " + (one.remedy or f"{one.records} {places}"))
    store.add_notes(directory, notes)


def _chosen(name: str, runtimes: list[str]) -> tuple[str, ModuleType | None, str]:
    """The profiler, or why there is none."""
    known = registry.modules(ROOM)
    names = ORDER if name == "auto" else (name,)
    missing: dict[str, str] = {}
    others: dict[str, str] = {}
    for one in names:
        module = known[one]
        if not set(module.RUNTIMES) & set(runtimes):
            told = ", ".join(runtimes) or "no known runtime"
            others[one] = f"{one} profiles {', '.join(module.RUNTIMES)}, and this is {told}"
        elif why := module.available():
            missing[one] = why
        else:
            return one, module, ""
    reasons = missing or others
    return next(iter(reasons)), None, "; ".join(dict.fromkeys(reasons.values()))


def _profiled(run: Run, options: RunOptions, module: ModuleType, observer: Observer) -> list[Held]:
    with tempfile.TemporaryDirectory(prefix="diagnose-memory-") as scratch:
        into = Path(scratch)
        (into / "profile").mkdir()
        profiler = module.Profiler(into / "profile")
        try:
            wrapped = profiler.wrapped(options.command, {**os.environ, **options.environment})
        except ValueError as error:
            return [Held(-1, "", 0, str(error))]
        changed = {
            key: value for key, value in wrapped.environment.items() if os.environ.get(key) != value
        }
        scenario = replace(options.scenario, warmup_s=WARM_UP_S, duration_s=WINDOW_S)
        second = replace(
            options,
            scenario=scenario,
            command=wrapped.command,
            environment=changed,
            output=into / "runs",
            profile="none",
            idle_s=IDLE_S,
            cooldown_s=COOLDOWN_S,
            probes=False,
            load_workers=len(run.load.workers) or None if run.load else None,
        )
        try:
            record(second, observer)
        except DiagnoseError as error:
            return [Held(-1, "", 0, f"the server did not run below the profiler: {error}")]
        found: list[Held] = profiler.collect()
        return found
