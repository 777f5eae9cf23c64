"""`diagnose report`: the reports again, from the run directory alone."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from diagnose.cli.console import errors_to, results_to
from diagnose.cli.options import check_names
from diagnose.cli.results import analyzed
from diagnose.errors import UsageError
from diagnose.reports import gcannon, html, markdown, pr_comment, terminal
from diagnose.reports import json as json_report
from diagnose.store.writer import write_findings, write_report

FORMATS = ("terminal", "markdown", "html", "json", "gcannon", "pr-comment")
# Forms that are files beside the run.
WRITTEN = {"markdown": markdown.files, "html": html.files}


def _schema(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(json_report.schema())
        raise typer.Exit


def report(
    run: list[Path] = typer.Argument(help="Run directories, as `diagnose run` prints them."),
    form: str = typer.Option(
        "terminal", "--format", help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}."
    ),
    as_json: bool = typer.Option(False, "--json", help="The same as --format json."),
    against: list[Path] = typer.Option(
        [], "--against", help="A run to compare with, in a pr-comment; may be given again."
    ),
    schema: bool = typer.Option(
        False,
        "--schema",
        is_eager=True,
        callback=_schema,
        help="Print the JSON Schema of --format json and end.",
    ),
) -> None:
    """Analyze stored runs again and print or write their reports.

    markdown writes report.md and its pictures into each run directory and prints the path, html
    writes report.html, one file with everything in it. gcannon prints the lines of the benchmark's
    load generator, then what it does not count. pr-comment prints the table and the findings as a
    comment on a pull request.
    """
    form = "json" if as_json else form
    check_names([form], FORMATS, "format")
    if against and form != "pr-comment":
        raise UsageError("--against is for --format pr-comment")
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
    elif form == "pr-comment":
        base = [analyzed(directory) for directory in against]
        sys.stdout.write(pr_comment.render(items, base) + "\n")
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
