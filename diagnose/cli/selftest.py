"""`diagnose selftest`: how right the rules are on this machine, on servers known to be faulty."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import typer

import diagnose
from diagnose.analysis.scoring import Answer, Outcome, Told, Truth, scores
from diagnose.cli.console import errors_to, results_to
from diagnose.cli.options import check_names, parse_seconds
from diagnose.errors import UsageError
from diagnose.model.finding import Kind, Verdict
from diagnose.reports import selftest as report
from reference_server.gallery import BuildFailed, Case, Group, cases
from reference_server.made_once import cache_directory

WARMUP_S = 0.7
# A run has its own deadlines; past this it is not one of them that was met.
RUN_S = 120.0
LAST_LINES = 3
RESULT, PICTURE = "selftest.json", "confusion.png"


def selftest(
    only: str | None = typer.Option(
        None, "--only", help="Servers or groups (fault, healthy, edge, wild), with commas."
    ),
    passes: int = typer.Option(3, "--passes", min=1, help="Runs of each server."),
    duration: float = typer.Option(2.0, "-d", "--duration", help="Seconds of each window."),
    output: Path = typer.Option(Path("selftest"), "-o", "--output", help="Where it is kept."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON."),
    list_cases: bool = typer.Option(False, "--list", help="List the servers and end."),
) -> None:
    """Run the gallery, and say for every rule how often it was right, wrong, or did not know.

    The servers run in turn, each of them once a pass, so that a busy minute meets all of them. What
    is not installed is left out, with what would bring it. Exit status: 0 everything that is true
    was found and nothing else, 1 otherwise, 2 usage, 130 interrupted: what was measured is kept.
    """
    chosen = choose(only)
    if list_cases:
        for case in chosen:
            typer.echo(f"{case.name:<26} {case.group.value:<8} {case.runtime:<9} {case.title}")
        return
    seconds = parse_seconds(duration, "--duration") or 2.0
    absent = {case.name: "; ".join(missing) for case in chosen if (missing := case.missing())}
    present = [case for case in chosen if case.name not in absent]
    if not present:
        why = "\n".join(f"  {name}: {what}" for name, what in absent.items())
        raise UsageError(f"nothing can be run here:\n{why}")
    output.mkdir(parents=True, exist_ok=True)
    truths = [
        Truth(case.name, frozenset(case.true_findings), frozenset(case.possible_findings))
        for case in present
    ]
    told: list[Told] = []
    interrupted = False
    try:
        for run in run_all(present, passes, seconds, output):
            told.append(run)
            _keep(truths, told, absent, passes, output)
    except KeyboardInterrupt:
        interrupted = True
    document = _keep(truths, told, absent, passes, output)
    if as_json:
        results_to.print(json.dumps(document, indent=1), soft_wrap=True, markup=False)
    else:
        results_to.print(report.text(truths, told, absent), soft_wrap=True, markup=False)
        results_to.print(f"\n{output / RESULT}\n{output / PICTURE}", markup=False)
        results_to.print(f"\nVERDICT  {report.verdict(truths, told)}", soft_wrap=True, markup=False)
    wrong = any(
        score[outcome]
        for score in scores(truths, told).values()
        for outcome in (Outcome.FALSE, Outcome.MISSED, Outcome.UNDECIDED)
    )
    raise typer.Exit(130 if interrupted else 1 if wrong or any(r.problem for r in told) else 0)


def choose(only: str | None) -> list[Case]:
    """The cases of these names and groups, all without any.

    Raises: UsageError when there is no such server.
    """
    every = cases()
    if not only:
        return list(every)
    words = [word.strip() for word in only.split(",") if word.strip()]
    groups = [group.value for group in Group]
    check_names(words, [*groups, *(case.name for case in every)], "server or group")
    return [case for case in every if case.name in words or case.group.value in words]


def run_all(present: Sequence[Case], passes: int, seconds: float, output: Path) -> Iterator[Told]:
    """One run after the other, every server once a pass."""
    for number in range(1, passes + 1):
        for index, case in enumerate(present, 1):
            began = time.monotonic()
            answers, problem = run_case(case, seconds, output / "runs")
            told = Told(case.name, number, answers, problem, time.monotonic() - began)
            found = [rule for rule, answer in answers.items() if answer.verdict is Verdict.FOUND]
            errors_to.print(
                f"pass {number}, {index} of {len(present)}: {case.name:<26} {told.seconds:5.1f} s  "
                f"{problem or ', '.join(found) or 'nothing found'}",
                soft_wrap=True,
                markup=False,
            )
            yield told


def run_case(case: Case, seconds: float, output: Path) -> tuple[dict[str, Answer], str]:
    """What every rule said of a server, by name; or the problem that kept the run from it."""
    try:
        command = case.prepare(cache_directory() / "gallery")
    except (BuildFailed, OSError) as error:
        return {}, str(error)
    words = [sys.executable, "-m", "diagnose", "run", case.scenario, "-c", str(case.connections)]
    words += ["-d", str(seconds), "--warmup", str(WARMUP_S), *case.run_options]
    words += ["--port", "0", "--json", "--name", case.name, "-o", str(output), "--", *command]
    with case.accompanied():
        # A process of its own, as for a user: nothing of one run is left for the next.
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **case.environment},
            start_new_session=True,
        )
        with _ended(child):
            try:
                printed, complained = child.communicate(timeout=RUN_S)
            except subprocess.TimeoutExpired:
                return {}, f"diagnose run was not over after {RUN_S:.0f} s"
    try:
        (run,) = json.loads(printed)["runs"]
    except (ValueError, KeyError):
        last = " ".join(complained.strip().splitlines()[-LAST_LINES:])
        return {}, f"diagnose run ended with {child.returncode}: {last}"
    return {
        each["id"]: Answer(Verdict(each["verdict"]), Kind(each["kind"]), each["claim"])
        for each in run["findings"]
    }, ""


@contextmanager
def _ended(child: subprocess.Popen[str]) -> Iterator[None]:
    """The child is gone afterwards, whatever happens: it ends its server itself."""
    try:
        yield
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


def _keep(
    truths: Sequence[Truth],
    told: Sequence[Told],
    absent: dict[str, str],
    passes: int,
    output: Path,
) -> dict[str, object]:
    """Writes the result as it is so far."""
    document = report.document(
        truths,
        told,
        absent,
        {
            "version": diagnose.__version__,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "cores": len(os.sched_getaffinity(0)),
            "kernel": platform.release(),
            "passes": passes,
        },
    )
    (output / RESULT).write_text(json.dumps(document, indent=1) + "\n")
    if png := report.picture(truths, told):
        (output / PICTURE).write_bytes(png)
    return document
