"""Another server beside the one that was run, in pairs."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import replace

from diagnose.analysis.finding_changes import changed_findings
from diagnose.cli.console import Quieter, results_to
from diagnose.errors import UsageError
from diagnose.experiments._pairs import Sides, record_pairs
from diagnose.recorder import RunOptions
from diagnose.reports import comparison as report
from diagnose.store import together

# As a command: the reference server.
REFERENCE = "reference"
BUDGET_S = 45.0
# Short phases, and many runs: what differs from run to run is more than within one.
WINDOW_S, WARM_UP_S, IDLE_S, COOLDOWN_S = 1.5, 0.5, 0.3, 0.3


def words_of(command: str) -> tuple[str, ...]:
    """A command line as words; `reference` is the reference server.

    Raises: UsageError when it is empty or its quotes do not match.
    """
    if command == REFERENCE:
        return (sys.executable, "-m", "reference_server", "--port", "$PORT")
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(f"{command!r} is no command: {error}") from None
    if not words:
        raise UsageError("--base and --new take a command, like './my-server --port $PORT'")
    return words


def contrast(options: RunOptions, connections: int, said: str, words: tuple[str, ...]) -> None:
    """Pairs of the other server (the base) and this one, for some 45 s, and what they say."""
    began = time.monotonic()
    short = replace(
        options,
        scenario=replace(options.scenario, warmup_s=WARM_UP_S, duration_s=WINDOW_S),
        connections=connections,
        profile="none",
        idle_s=IDLE_S,
        cooldown_s=COOLDOWN_S,
        probes=False,
    )
    directory = together.make(options.output, "against", "comparison")
    with Quieter() as progress:
        progress.note(f"the same load on {said}, in pairs")
        sides = record_pairs(
            replace(short, command=words, name="base", output=directory),
            replace(short, name="new", output=directory),
            progress,
            BUDGET_S,
        )
    mine = shlex.join(options.command)
    done = comparison_of(sides, said, mine, (), time.monotonic() - began)
    together.write(directory, "comparison", report.document(done), report.page(done))
    results_to.print(report.render(done))


def comparison_of(
    sides: Sides, base: str, new: str, found: tuple[str, ...], seconds: float
) -> report.Comparison:
    """What the pairs say so far. found: in what runs differ beside the server."""
    count = sides.pairs
    one, two = sides.base[:count], sides.new[:count]
    rows = sides.rows()
    return report.Comparison(
        base=base,
        new=new,
        pairs=count,
        rows=tuple(rows),
        findings=tuple(changed_findings(*sides.findings())),
        base_runs=tuple(run.run.directory for run in one),
        new_runs=tuple(run.run.directory for run in two),
        differences=found,
        stopped=sides.stopped or sides.failed,
        failed=bool(sides.failed),
        seconds=seconds,
    )
