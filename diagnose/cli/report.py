"""`diagnose report`: the reports again, from the run directory alone."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from diagnose.cli.console import errors_to, results_to
from diagnose.cli.options import check_names
from diagnose.cli.results import analyzed
from diagnose.errors import UsageError
from diagnose.model.investigated import Investigated
from diagnose.model.report import Analyzed
from diagnose.reports import (
    gcannon,
    github,
    html,
    junit,
    markdown,
    pr_comment,
    profile_change,
    speedscope,
    terminal,
)
from diagnose.reports import json as json_report
from diagnose.reports.html import Beside
from diagnose.store import archive
from diagnose.store.investigated import first_run, investigation_of, read_investigation
from diagnose.store.writer import write_findings, write_report

FORMATS = (
    *("terminal", "markdown", "html", "json", "gcannon", "pr-comment", "junit", "github"),
    *("speedscope", "profile-change"),
)
AGAINST = ("pr-comment", "profile-change", "html")
# Forms that are files beside the run.
WRITTEN = {"markdown": markdown.files, "speedscope": speedscope.files}


def _schema(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(json_report.schema())
        raise typer.Exit


def report(
    run: list[Path] = typer.Argument(
        help="Run directories, as `diagnose run` prints them, or bundles; for html also "
        "investigations."
    ),
    form: str = typer.Option(
        "terminal", "--format", help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}."
    ),
    as_json: bool = typer.Option(False, "--json", help="The same as --format json."),
    against: list[Path] = typer.Option(
        [], "--against", help="A run to compare with; in a pr-comment it may be given again."
    ),
    mixed: bool = typer.Option(
        False, "--mixed", help="profile-change: of profiles that were taken in different ways, too."
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
    writes report.html, one file with everything in it: of an investigation with its experiments,
    with --against also what differs from that run. gcannon prints the lines of the benchmark's
    load generator, then what it does not count. pr-comment prints the table and the findings as a
    comment on a pull request, junit JUnit XML, github annotations of GitHub Actions. speedscope
    writes the profiles for speedscope, profile-change prints which functions cost a request more or
    less CPU time than in the run of --against.
    """
    form = "json" if as_json else form
    check_names([form], FORMATS, "format")
    if against and form not in AGAINST:
        raise UsageError(f"--against is for --format {', '.join(AGAINST)}")
    if form == "profile-change" and (len(against) != 1 or len(run) != 1):
        raise UsageError("--format profile-change takes one run, and one with --against")
    if mixed and form != "profile-change":
        raise UsageError("--mixed is for --format profile-change")
    if form == "html":
        _pages(run, against)
        return
    items = [analyzed(directory) for directory in run]
    for item in items:
        _store_findings(item)
    if form == "json":
        sys.stdout.write(json_report.render(items) + "\n")
    elif form == "gcannon":
        sys.stdout.write(gcannon.render(items) + "\n")
    elif form == "junit":
        sys.stdout.write(junit.render(items))
    elif form == "github":
        sys.stdout.write(github.render(items) + "\n")
    elif form == "profile-change":
        results_to.print(profile_change.render(analyzed(against[0]), items[0], mixed))
    elif form == "pr-comment":
        base = [analyzed(directory) for directory in against]
        sys.stdout.write(pr_comment.render(items, base) + "\n")
    elif form in WRITTEN:
        for item in items:
            _write(Path(item.run.directory), WRITTEN[form](item))
    else:
        results_to.print(terminal.render(items))


def _pages(runs: list[Path], against: list[Path]) -> None:
    """The pages of runs and of investigations.

    Raises: UsageError when one cannot be read or written.
    """
    if len(against) > 1:
        raise UsageError("--format html takes one run with --against")
    base = analyzed(against[0]) if against else None
    for place in runs:
        experiments = read_investigation(place)
        if experiments is not None:
            item = analyzed(first_run(place, experiments))
        else:
            item = analyzed(place)
            experiments = _experiments(place)
        _store_findings(item)
        _write(place, html.files(item, Beside(experiments, base)))


def _experiments(place: Path) -> Investigated | None:
    """Those that followed a run, also one in the archive of a bundle."""
    if archive.is_archive(place):
        with archive.unpacked(place) as unpacked:
            return investigation_of(unpacked)
    return investigation_of(place)


def _store_findings(item: Analyzed) -> None:
    place = Path(item.run.directory)
    if archive.is_archive(place):
        return
    try:
        write_findings(place, item.findings)
    except OSError as error:
        errors_to.print(f"findings not stored in {place}: {error.strerror}", markup=False)


def _write(place: Path, made: dict[str, bytes]) -> None:
    """Files into a directory or beside an archive; prints the path of the first.

    Raises: UsageError when that is not possible.
    """
    try:
        written = write_report(_place(place), made)
    except OSError as error:
        raise UsageError(
            f"cannot write into {place}: {error.strerror}; copy the run to a place of yours first"
        ) from error
    typer.echo(str(written[0]))


def _place(run: Path) -> Path:
    """Where the report of a run goes: into its directory, or into a new one beside its archive."""
    if not archive.is_archive(run):
        return run
    stem = next(run.name.removesuffix(end) for end in archive.SUFFIXES if run.name.endswith(end))
    place = run.with_name(f"{stem}-report")
    place.mkdir(exist_ok=True)
    return place
