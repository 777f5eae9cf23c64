"""From a run directory to what the user sees: analyze, store, print, exit status."""

from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from diagnose.analysis.engine import analyze
from diagnose.analysis.figures import figures
from diagnose.analysis.repeats import repeats
from diagnose.cli.console import errors_to, results_to
from diagnose.cli.gates import NOTHING_ASKED, Asked, gated
from diagnose.model.finding import Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.reports import html, markdown, terminal
from diagnose.reports import json as json_report
from diagnose.reports import repeats as repeats_report
from diagnose.store import archive
from diagnose.store.reader import read_run
from diagnose.store.writer import write_findings, write_report


def analyzed(directory: Path, shown: str = "") -> Analyzed:
    """The run in a directory, or in the archive of a bundle, with its findings.

    shown: what reports call the directory.
    """
    if archive.is_archive(directory):
        with archive.unpacked(directory) as unpacked:
            return analyzed(unpacked, str(directory))
    run = read_run(directory)
    if shown:
        run = dataclasses.replace(run, directory=shown)
    found = analyze(run)
    return Analyzed(run, dataclasses.asdict(figures(run)), tuple(found))


def finish(
    directories: Sequence[Path],
    as_json: bool,
    report: bool = True,
    asked: Asked = NOTHING_ASKED,
) -> int:
    """Analyze runs, write their reports if wanted, print the verdicts; the exit status."""
    # The verdict of an interrupted run is short work: another Ctrl-C must not lose it.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return _finish(directories, as_json, report, asked)
    finally:
        signal.signal(signal.SIGINT, before)


def _finish(directories: Sequence[Path], as_json: bool, report: bool, asked: Asked) -> int:
    items = [analyzed(directory) for directory in directories]
    if as_json:
        sys.stdout.write(json_report.render(items) + "\n")
        sys.stdout.flush()
    else:
        groups = repeats(items)
        results_to.print(terminal.render([group.best for group in groups]))
        for group in groups:
            if len(group.runs) > 1:
                results_to.print(repeats_report.line(group), markup=False)
    for item in items:
        try:
            write_findings(Path(item.run.directory), item.findings)
            if not report:
                continue
            path = write_report(Path(item.run.directory), markdown.files(item))[0]
            page = write_report(Path(item.run.directory), html.files(item))[0]
        except OSError as error:
            errors_to.print(
                f"report not stored in {item.run.directory}: {error.strerror}", markup=False
            )
            continue
        if not as_json:
            results_to.print(f"report: {path}", soft_wrap=True, markup=False)
            results_to.print(f"page: {page}", soft_wrap=True, markup=False)
    for item in items:
        if item.run.manifest.state == "interrupted":
            errors_to.print("interrupted: the verdict rests on what was measured until then")
    statuses = [exit_status(item) for item in items]
    if asked.anything:
        return gated(items, statuses, asked, as_json)
    return max(statuses, default=0)


def exit_status(item: Analyzed) -> int:
    """0 nothing found, 1 a finding, 3 the server died, 4 not valid and nothing else found, 130
    interrupted."""
    if item.run.manifest.state == "interrupted":
        return 130
    if item.run.manifest.end.when:
        return 3
    kinds = {finding.kind for finding in item.findings if finding.verdict is Verdict.FOUND}
    if kinds & {Kind.CAUSE, Kind.SYMPTOM}:
        return 1
    return 4 if any(finding.undoes_figures for finding in item.findings) else 0
