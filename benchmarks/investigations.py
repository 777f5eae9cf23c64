"""What `diagnose investigate` confirms and refutes on servers of which it is known what is wrong.

`python -m benchmarks.investigations [--only NAMES] [--budget 120] [-o DIR] [--table]`

Every server of the gallery (or those of --only: groups and names) is investigated once, as a user
would, with the load that the gallery has for it. What came of each is a line of
DIR/investigations.jsonl; servers that are there already are not run again. Printed: for each server
the causes that are true of it, what was confirmed, refuted and left open, how long the first true
cause took from the command on, and what was confirmed and is not true. --table prints that of what
is there, and runs nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from diagnose.analysis.engine import rules
from diagnose.cli import forked
from diagnose.cli.selftest import choose
from diagnose.experiments import _planning
from diagnose.model.experiment import Outcome
from diagnose.model.finding import Kind
from reference_server.gallery import BuildFailed, Case, cases
from reference_server.made_once import cache_directory

RESULTS = "investigations.jsonl"
# Beside the budget of the experiments: the first run, and whatever takes longer than it was told.
AROUND_S = 120.0
SOON_S = 60.0


class Investigated(msgspec.Struct):
    """What came of one server; causes by outcome. soonest_s: from the command to the first cause
    that is true and confirmed, -1 without one. suspected: causes that the first run led to."""

    name: str
    confirmed: list[str]
    refuted: list[str]
    undecided: list[str]
    left_out: list[str]
    soonest_s: float
    seconds: float
    problem: str = ""


def true_causes(case: Case) -> list[str]:
    """Causes that are true of a server, and that an experiment can decide."""
    decided = {name for module in _planning.experiments().values() for name in module.DECIDES}
    known = rules()
    return [
        name for name in case.true_findings if known[name].KIND is Kind.CAUSE and name in decided
    ]


def wrong(case: Case, done: Investigated) -> list[str]:
    """What was confirmed although it is not true of the server."""
    return sorted({*done.confirmed} - {*case.true_findings} - {*case.possible_findings})


def investigated(case: Case, budget_s: float, output: Path) -> Investigated:
    """One server, investigated by the command line in a process of its own."""
    began = time.monotonic()

    def failed(why: str) -> Investigated:
        spent = time.monotonic() - began
        return Investigated(case.name, [], [], [], [], -1.0, spent, why)

    try:
        command = case.prepare(cache_directory() / "gallery")
    except (BuildFailed, OSError) as error:
        return failed(str(error))
    words = ["investigate", case.scenario, "-c", str(case.connections), *case.run_options]
    words += ["--budget", str(budget_s), "--port", "0", "--json", "--name", case.name]
    words += ["-o", str(output / "runs"), "--", *command]
    with case.accompanied():
        ended = forked.run(words, case.environment, budget_s + AROUND_S)
    if ended is None:
        return failed(f"not over after {budget_s + AROUND_S:.0f} s")
    try:
        document = json.loads(ended.stdout)
    except ValueError:
        return failed(f"ended with {ended.status}: {ended.stderr.strip()[-200:]}")
    return told(case, document, time.monotonic() - began)


def told(case: Case, document: dict[str, Any], seconds: float) -> Investigated:
    """An investigation's document, as it is kept here."""
    by: dict[str, list[str]] = {outcome.value: [] for outcome in Outcome}
    for one in document["decisions"]:
        if one["id"] not in by[one["outcome"]]:
            by[one["outcome"]].append(one["id"])
    soonest = [
        one["seconds"]
        for one in document["decisions"]
        if one["outcome"] == Outcome.CONFIRMED and one["id"] in case.true_findings
    ]
    return Investigated(
        case.name,
        by[Outcome.CONFIRMED],
        by[Outcome.REFUTED],
        by[Outcome.UNDECIDED],
        [one["id"] for one in document["left_out"]],
        min(soonest, default=-1.0),
        seconds,
    )


def kept(path: Path) -> dict[str, Investigated]:
    """What is there already, by server; the newest of each."""
    if not path.exists():
        return {}
    decode = msgspec.json.Decoder(Investigated).decode
    return {one.name: one for one in map(decode, path.read_bytes().splitlines())}


def table(done: dict[str, Investigated]) -> Iterator[str]:
    """Markdown: a row for each server, and what they come to."""
    yield "| server | true, and decidable | confirmed | refuted | undecided | first true after |"
    yield "|---|---|---|---|---|---|"
    rows = [(case, done[case.name]) for case in cases() if case.name in done]
    for case, one in rows:
        soonest = f"{one.soonest_s:.0f} s" if one.soonest_s >= 0 else "-"
        bad = wrong(case, one)
        confirmed = [f"**{name}** (wrong)" if name in bad else name for name in one.confirmed]
        cells = [
            case.name,
            _names(true_causes(case)),
            one.problem or _names(confirmed),
            _names(one.refuted),
            _names([*one.undecided, *(f"{name} (not tried)" for name in one.left_out)]),
            soonest,
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield from summary(rows)


def _names(words: Iterable[str]) -> str:
    return ", ".join(words) or "-"


def summary(rows: list[tuple[Case, Investigated]]) -> Iterator[str]:
    """How many faults had a true cause confirmed, how soon, and what was confirmed wrongly."""
    decidable = [(case, one) for case, one in rows if true_causes(case)]
    proved = [one for _, one in decidable if one.soonest_s >= 0]
    whole = [one for case, one in decidable if {*true_causes(case)} <= {*one.confirmed}]
    soon = [one for one in proved if one.soonest_s <= SOON_S]
    yield (
        f"{len(proved)} of {len(decidable)} servers with a cause that an experiment decides had "
        f"one confirmed, {len(whole)} all of them, {len(soon)} within {SOON_S:.0f} s"
    )
    if proved:
        median = statistics.median(one.soonest_s for one in proved)
        yield f"from the command to the first confirmed cause: median {median:.0f} s"
    mistaken = [f"{case.name}: {', '.join(bad)}" for case, one in rows if (bad := wrong(case, one))]
    yield f"confirmed and not true: {'; '.join(mistaken) or 'nothing'}"
    healthy = [one for case, one in rows if case.healthy]
    quiet = sum(not one.confirmed and not one.problem for one in healthy)
    yield f"healthy servers on which nothing was confirmed: {quiet} of {len(healthy)}"


def main() -> None:
    """Investigate what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help="groups (fault, healthy, edge, wild) and servers")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds of experiments each")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/investigations"))
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / RESULTS
    done = kept(path)
    chosen = [] if options.table else choose(options.only)
    for number, case in enumerate(chosen, 1):
        if case.name in done or case.missing():
            continue
        one = done[case.name] = investigated(case, options.budget, options.output)
        with path.open("ab") as file:
            file.write(msgspec.json.encode(one) + b"\n")
        said = f"confirmed: {_names(one.confirmed)}"
        if bad := wrong(case, one):
            said += f"; WRONG: {_names(bad)}"
        print(f"{number} of {len(chosen)} {case.name}: {one.seconds:.0f} s, {said}", flush=True)
    print("\n".join(table(done)))


if __name__ == "__main__":
    main()
