"""`diagnose history`: runs over time."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from diagnose.cli.console import errors_to, results_to
from diagnose.cli.results import analyzed
from diagnose.errors import DiagnoseError, UsageError
from diagnose.model.report import Analyzed
from diagnose.reports import history as report
from diagnose.store.layout import MANIFEST
from diagnose.store.writer import write_whole

PICTURE = "history.png"


def history(
    directory: Path = typer.Argument(Path("runs"), help="A directory of runs."),
    name: str = typer.Option("", "--name", help="Only runs whose server and load contain this."),
    plot: bool = typer.Option(True, "--plot/--no-plot", help=f"Draw {PICTURE} into the directory."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON."),
) -> None:
    """List the runs of a directory, the newest last, and draw throughput and memory over time.

    Runs below its directories (of investigations, comparisons) count too. One that cannot be read
    is named and left out.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory} is no directory: `diagnose run` writes into runs/ (-o)")
    items: list[Analyzed] = []
    for manifest in sorted(directory.rglob(MANIFEST)):
        try:
            item = analyzed(manifest.parent)
        except DiagnoseError as error:
            errors_to.print(f"left out: {error}", markup=False, soft_wrap=True)
            continue
        if name in report.series(item):
            items.append(item)
    if not items:
        raise UsageError(f"{directory} holds no run{f' of {name!r}' if name else ''}")
    if as_json:
        results_to.print(json.dumps(report.document(items), indent=1), soft_wrap=True, markup=False)
    else:
        results_to.print(report.table(items))
    if plot:
        try:
            write_whole(directory / PICTURE, report.picture(items))
        except OSError as error:
            raise UsageError(
                f"cannot write {directory / PICTURE}: {error.strerror} (--no-plot leaves it out)"
            ) from None
        errors_to.print(str(directory / PICTURE), markup=False, soft_wrap=True)
