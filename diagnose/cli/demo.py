"""`diagnose demo`: the main job on the healthy reference server and on a faulty one."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from diagnose.cli import run as run_command
from diagnose.cli.console import Progress, results_to
from diagnose.cli.options import adapt, parse_counts
from diagnose.cli.results import analyzed, finish
from diagnose.recorder import RunOptions, record
from diagnose.reports import markdown
from diagnose.reports.phrases import headline
from diagnose.scenario.catalog import find_scenario

FAULT = "buffered_body"


def demo(
    output: Path = run_command.OUTPUT,
    connections: str | None = typer.Option("64", "-c", "--connections", help="Connections."),
    duration: float = typer.Option(5.0, "-d", "--duration", help="Seconds of each window."),
) -> None:
    """Upload 20 MiB bodies to the healthy reference server, then to one that buffers them.

    Ends with both verdicts and the paths of both reports; about a minute. The exit status is 0
    when the healthy server is found healthy and the fault is found.
    """
    scenario = adapt(find_scenario("upload-20mb"), duration=duration)
    counts = parse_counts(connections, scenario)
    directories: list[Path] = []
    statuses: list[int] = []
    for name, arguments in (("healthy", ()), (FAULT, ("--fault", FAULT))):
        results_to.print(f"\n== {name} ==", style="bold")
        command = (sys.executable, "-m", "reference_server", "--port", "$PORT", *arguments)
        options = RunOptions(
            scenario=scenario,
            connections=counts[0],
            command=command,
            port=0,
            name=name,
            output=output,
        )
        with Progress() as progress:
            directories.append(record(options, progress))
        statuses.append(finish(directories[-1:], as_json=False))
    right = statuses == [0, 1]
    results_to.print("\n== the two verdicts ==", style="bold")
    for directory in directories:
        item = analyzed(directory)
        results_to.print(
            f"{item.run.manifest.launch.name:<14} {headline(item)}\n{'':<14} "
            f"{directory / markdown.FILE}",
            soft_wrap=True,
            markup=False,
        )
    if not right:
        results_to.print(f"exit statuses {statuses}, expected [0, 1]: see the verdicts above")
    raise typer.Exit(0 if right else 1)
