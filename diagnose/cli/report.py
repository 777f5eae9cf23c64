"""`diagnose report`: the reports again, from the run directory alone."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from diagnose.cli.console import errors_to, results_to
from diagnose.cli.options import check_names
from diagnose.cli.results import analyzed
from diagnose.errors import UsageError
from diagnose.reports import gcannon, html, markdown, terminal
from diagnose.reports import json as json_report
from diagnose.store.writer import write_findings, write_report

FORMATS = ("terminal", "markdown", "html", "json", "gcannon")
# Forms that are files beside the run.
WRITTEN = {"markdown": markdown.files, "html": html.files}


def report(
    run: list[Path] = typer.Argument(help="Run directories, as `diagnose run` prints them."),
    form: str = typer.Option(
        "terminal", "--format", help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}."
    ),
    as_json: bool = typer.Option(False, "--json", help="The same as --format json."),
) -> None:
    """Analyze stored runs again and print or write their reports.

    markdown writes report.md and its pictures into each run directory and prints the path, html
    writes report.html, one file with everything in it. gcannon prints the lines of the benchmark's
    load generator, then what it does not count.
    """
    form = "json" if as_json else form
    check_names([form], FORMATS, "format")
    items = [analyzed(directory) for directory in run]
    for item in items:
        try:
            write_findings(Path(item.run.directory), item.findings)
        except OSError as error:
            errors_to.print(
                f"findings not stored in {item.run.directory}: {error.strerror}", markup=False
            )
    if form == "json":
        sys.stdout.write(json_report.render(items) + "\n")
    elif form == "gcannon":
        sys.stdout.write(gcannon.render(items) + "\n")
    elif form in WRITTEN:
        for item in items:
            try:
                written = write_report(Path(item.run.directory), WRITTEN[form](item))
            except OSError as error:
                raise UsageError(
                    f"cannot write into {item.run.directory}: {error.strerror}; copy the run to a "
                    "place of yours first"
                ) from error
            typer.echo(str(written[0]))
    else:
        results_to.print(terminal.render(items))
