"""`diagnose minimize`: the smallest load that still shows a finding."""

from __future__ import annotations

import json
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path

import typer

from diagnose.analysis.minimizing import Step
from diagnose.cli import run as run_command
from diagnose.cli.console import Quieter, errors_to, results_to
from diagnose.cli.investigate import stored
from diagnose.cli.options import check_names, parse_seconds, parse_size
from diagnose.cli.reproducing import tried
from diagnose.errors import UsageError
from diagnose.experiments._running import Stopped, analyzed
from diagnose.experiments._smallest import Smallest, grew
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.model.scenario import Scenario
from diagnose.reports import minimized as report
from diagnose.scenario.toml_writing import to_toml
from diagnose.store import together
from diagnose.store.writer import write_whole
from diagnose.units import format_bytes

KIND = "minimal"
BUDGET_S = 240.0
SCENARIO_FILE = "minimal.toml"


def minimize(
    run: Path = typer.Argument(help="A run directory, as `diagnose run` prints it."),
    finding: str | None = typer.Option(
        None, "--finding", help="What it has to show (the first cause that was found)."
    ),
    memory: str | None = typer.Option(
        None, "--memory", help="A run shows it only when memory grew by this too, like 1G."
    ),
    budget: float = typer.Option(BUDGET_S, "--budget", help="Seconds for all runs."),
    output: Path = run_command.OUTPUT,
    as_json: bool = run_command.JSON,
) -> None:
    """Find the smallest load that still shows a finding: connections, bodies, duration, requests.

    Each value is tried until two more runs say one thing than the other. It ends with a scenario
    file, and with commands of standard tools where these can show it, which are run. Exit status: 0
    found, 1 the finding did not show again, 2 usage, 130 interrupted: the smallest so far stands.
    """
    began = time.monotonic()
    seconds = parse_seconds(budget, "--budget") or BUDGET_S
    base, options = stored(run)
    about = chosen(base, finding)
    growth = parse_size(memory) or 0
    if (seen := grew(base.run)) < growth:
        raise UsageError(
            f"memory grew by {format_bytes(seen)} in {run}, not by {format_bytes(growth)}: give "
            "--memory less, or a run with a greater load"
        )
    what = report.sought(about.id, growth)
    directory = together.make(output, base.run.manifest.launch.name, KIND)
    options = replace(options, output=directory, invocation=tuple(sys.argv[1:]))

    def told(step: Step) -> None:
        progress.note(report.step_line(step))

    with Quieter(quiet=as_json) as progress:
        search = Smallest(base, about.id, options, progress, growth)
        progress.note(f"finding: {what}: {about.claim}")
        try:
            shown = search.confirm() or search.confirm()
        except Stopped:
            raise typer.Exit(130) from None
        if not shown:
            errors_to.print(
                f"{what} did not show again in two short runs of the same load (in "
                f"{directory}): it may need a longer window, a profile, or chance",
                markup=False,
                soft_wrap=True,
            )
            raise typer.Exit(1)
        search.find(told, lambda: time.monotonic() - began > seconds)
        smallest = search.smallest
        scenario = named(smallest.scenario, smallest.connections, what)
        write_whole(directory / SCENARIO_FILE, to_toml(scenario).encode())
        last = last_that_shows(search, about.id) or base
        # Other findings of the run would be shown in its place.
        alone = replace(last, findings=tuple(one for one in last.findings if one.id == about.id))
        attempt = None if search.stopped == "interrupted" else tried(alone, 1)
    done = report.Minimized(
        finding=about.id,
        growth_bytes=growth,
        claim=about.claim,
        base=str(run),
        before=report.load_words(base.run.manifest.scenario, base.run.manifest.connections),
        after=report.load_words(scenario, smallest.connections),
        steps=tuple(search.search.steps),
        runs=tuple(search.runs),
        scenario=str(directory / SCENARIO_FILE),
        command=shlex.join(
            [
                *("diagnose", "run", str(directory / SCENARIO_FILE), "--port", "0", "--"),
                *options.command,
            ]
        ),
        tried=attempt,
        stopped=search.stopped,
        seconds=time.monotonic() - began,
    )
    together.write(directory, KIND, report.document(done), report.page(done))
    if as_json:
        text = json.dumps(report.document(done), indent=1)
        results_to.print(text, soft_wrap=True, markup=False)
    else:
        results_to.print(report.render(done))
        results_to.print(f"directory: {directory}", markup=False, soft_wrap=True)
    raise typer.Exit(130 if search.stopped == "interrupted" else 0)


def chosen(base: Analyzed, name: str | None) -> Finding:
    """The finding that the search is about.

    Raises: UsageError when the run has not found it, or nothing.
    """
    found = [each for each in base.findings if each.verdict is Verdict.FOUND]
    if name is not None:
        check_names([name], [each.id for each in base.findings], "finding")
        for each in found:
            if each.id == name:
                return each
        raise UsageError(f"{base.run.directory} did not find {name}: nothing to make smaller")
    for kind in (Kind.CAUSE, Kind.SYMPTOM):
        for each in found:
            if each.kind is kind:
                return each
    raise UsageError(f"{base.run.directory} found nothing: nothing to make smaller")


def named(scenario: Scenario, connections: int, finding: str) -> Scenario:
    """The minimal load as a scenario of its own."""
    return replace(
        scenario,
        name="minimal",
        title=f"the smallest load that showed {finding}: {scenario.title}",
        connections=(connections,),
    )


def last_that_shows(search: Smallest, finding: str) -> Analyzed | None:
    """The last of the runs that found it, the smallest load's."""
    for directory in reversed(search.runs):
        item = analyzed(Path(directory))
        if any(each.id == finding and each.verdict is Verdict.FOUND for each in item.findings):
            return item
    return None
