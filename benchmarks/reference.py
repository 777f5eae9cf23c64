"""Compares the reference server with the servers that it could stand on, and with two yardsticks.

Every candidate serves the same minimal contract app (baseline11, pipeline, json, upload) in one
process on one core, with the load on another core. The load is this project's own, which checks
every answer. Each candidate is measured next to the reference server: both run, and each profile
is loaded on one and then at once on the other, in turn which is first, because the speed of a
shared machine drifts by more than the differences of interest. A figure is the candidate's rate
divided by that of the reference server in the same pair, the median over the rounds with the
lowest and the highest; a rate is right responses (uploads: MiB) per CPU second of all processes of
the server. Memory (PSS) is the most that was seen: after the other loads, and while every upload is
in flight but for its last byte; growth is what the uploads add.

    python -m benchmarks.reference [--quick] [--only NAME ...] [--rounds N] [--seconds S]

Prints Markdown. What is not installed, does not start or fails is a row that says so.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks._apps import HOST
from benchmarks._candidates import CANDIDATES, QUICK, REFERENCE
from benchmarks._comparison import NAN, UPLOAD, Figures, Rate, notes, table
from benchmarks._ours import LoadFailed, run_workers
from benchmarks._peers import allow_descriptors, end_in_order
from benchmarks._serving import MIB, Cores, NotServing, Running, broken_promises, running
from benchmarks._uploads import UPLOAD_BYTES, upload
from diagnose.model.load import LoadPlan, LoadResult
from diagnose.scenario.catalog import find_scenario

PROFILES = {name: find_scenario(name) for name in ("baseline", "pipelined", "json", "limited-conn")}
COLUMNS = (*PROFILES, UPLOAD)
DRAIN_S = 2.0
# A server whose answers are wrong or missing more often than this does not serve the profile.
MAX_FAILED = 0.01


def measured(profile: str, server: Running, options: argparse.Namespace) -> Rate:
    """The rate of one profile."""
    plan = LoadPlan(
        address=HOST,
        port=server.port,
        scenario=replace(PROFILES[profile], connections=(options.connections,)),
        total_connections=options.connections,
        first=0,
        step=1,
        # The CPU time is that of all that is served: so nothing may be served and not counted.
        warmup_s=0.0,
        duration_s=options.seconds,
        drain_s=DRAIN_S,
        spin_probe=False,
    )
    before, cores = server.cpu_seconds(), Cores(options.cores)
    try:
        result = run_workers(plan, [options.cores[1]]).result
    except LoadFailed as error:
        return Rate(NAN, problem=str(error).strip().splitlines()[-1])
    used = server.cpu_since(before)
    failed, answered = result.failed + result.unanswered, result.ok + result.late_responses
    if failed > MAX_FAILED * answered or not used:
        return Rate(NAN, problem=failures(result))
    return Rate(answered / used, used / result.duration_s, cores.foreign(used))


def failures(result: LoadResult) -> str:
    """What failed, in words."""
    kinds = dict(result.failures)
    if result.unanswered:
        kinds["unanswered"] = result.unanswered
    return ", ".join(f"{name} {count}" for name, count in kinds.items()) + f" of {result.responses}"


def measured_uploads(server: Running, options: argparse.Namespace, figures: Figures) -> Rate:
    """The rate of uploads, after all other loads; `figures` take the memory that all cost."""
    before, start = server.cpu_seconds(), server.memory()
    held: list[float] = []
    try:
        problem = upload(server.port, options.uploads, lambda: held.append(server.memory()))
    except OSError as error:
        problem = f"a connection broke: {error}"
    used = server.cpu_since(before)
    figures.growth += [each - start for each in held]
    figures.peak.append(max(start, server.memory(), *held))
    if problem:
        return Rate(NAN, problem=problem)
    return Rate(options.uploads * UPLOAD_BYTES / MIB / used)


def measure_pair(
    name: str, figures: Figures, own: Figures, options: argparse.Namespace, first: bool
) -> None:
    """One round of a candidate and, beside it, of the reference server, whose figures are `own`."""
    core = options.cores[0]
    with (
        running(REFERENCE, core, options.log) as reference,
        running(name, core, options.log) as server,
    ):
        if not figures.pairs:
            figures.broken = broken_promises(server.port)
        for profile in COLUMNS:
            if profile != UPLOAD:
                runs = [partial(measured, profile, each, options) for each in (server, reference)]
            elif CANDIDATES[name].fixed:
                continue
            else:
                runs = [
                    partial(measured_uploads, server, options, figures),
                    partial(measured_uploads, reference, options, own),
                ]
            if first:
                mine, other = runs[0](), runs[1]()
            else:
                other, mine = runs[1](), runs[0]()
            if other.problem:
                raise SystemExit(f"the reference server failed: {profile}: {other.problem}")
            figures.pairs.setdefault(profile, []).append((mine, other))
            own.pairs.setdefault(profile, []).append((other, other))
        if CANDIDATES[name].fixed:
            figures.peak.append(server.memory())


def measure_all(results: dict[str, Figures], own: Figures, options: argparse.Namespace) -> None:
    """All rounds; a candidate that does not serve says why and takes no further part."""
    for number in range(options.rounds):
        for name, figures in results.items():
            if figures.why:
                continue
            try:
                measure_pair(name, figures, own, options, first=number % 2 == 0)
            except (NotServing, OSError) as error:
                figures.why = f"{error}; its output is in {options.log}"
            print(f"round {number + 1}: {name} {figures.why}", file=sys.stderr, flush=True)


def chosen(options: argparse.Namespace) -> list[str]:
    """The candidates that the options ask for, without the reference server itself."""
    names = [name for name in CANDIDATES if name != REFERENCE]
    if options.only:
        # A whole name means that candidate alone: `uvicorn` is part of other names.
        wanted = set(options.only)
        parts = wanted - set(names)
        return [name for name in names if name in wanted or any(part in name for part in parts)]
    return [name for name in names if name in QUICK] if options.quick else names


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare servers with the reference server.")
    parser.add_argument("--quick", action="store_true", help="one short round, few candidates")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="those that are or contain NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.2, help="of each load")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--uploads", type=int, default=64, help="bodies in flight at once")
    parser.add_argument("--cores", type=int, nargs=2, help="of the server and of the load")
    parser.add_argument("--log", type=Path, default=Path(tempfile.gettempdir()) / "reference.log")
    options = parser.parse_args()
    options.cores = options.cores or sorted(os.sched_getaffinity(0))[:2]
    if len(options.cores) < 2:
        parser.error("needs two cores, one for the server and one for the load")
    if options.quick:
        options.rounds, options.seconds, options.uploads = 1, 0.6, 16
    if missing := CANDIDATES[REFERENCE].missing:
        parser.error(f"the reference server needs {', '.join(missing)}")
    end_in_order()
    allow_descriptors()
    os.sched_setaffinity(0, {options.cores[1]})

    own = Figures()
    results = {name: Figures() for name in chosen(options)}
    for name, figures in results.items():
        if absent := CANDIDATES[name].missing:
            figures.why = f"{', '.join(absent)} not installed"
    try:
        measure_all(results, own, options)
    finally:
        # What was measured until an early end counts too.
        if own.pairs:
            print(table(own, results), *notes(own, results), sep="\n\n")
    if not own.pairs:
        sys.exit("\n".join(f"{name}: {figures.why}" for name, figures in results.items()))


if __name__ == "__main__":
    main()
