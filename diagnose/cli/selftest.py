"""`diagnose selftest`: how right the rules are on this machine, on servers known to be faulty."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import typer

from diagnose.analysis.engine import rules
from diagnose.analysis.scoring import Answer, Outcome, Told, Truth, scores
from diagnose.cli import forked, selftest_kept
from diagnose.cli.console import errors_to, results_to
from diagnose.cli.options import check_names, parse_seconds
from diagnose.errors import UsageError
from diagnose.model.finding import Kind, Verdict
from diagnose.reports import selftest as report
from reference_server.gallery import BuildFailed, Case, Group, cases
from reference_server.made_once import cache_directory

# Shorter than those of a run that a person asks for: there are a hundred of them.
PHASES = ("--warmup", "0.5", "--idle", "0.65", "--cooldown", "1.1", "--profile-duration", "1.5")
WINDOW_S = 1.8
# A profile takes a quarter of a run. Healthy servers, where rules that read it may be wrong, get
# one in one pass of four, faulty ones where a finding that is true of them needs it.
PROFILED_OF = 4
# By default servers as they come (wild) are left out: what they should be found to be is a table
# in the documentation.
PASS_GROUPS = (Group.FAULT, Group.HEALTHY, Group.EDGE)
# A run has its own deadlines; past this it is not one of them that was met.
RUN_S = 120.0
LAST_LINES = 3


def selftest(
    only: str | None = typer.Option(
        None,
        "--only",
        help="Servers or groups (fault, healthy, edge, wild), with commas (all but wild).",
    ),
    passes: int = typer.Option(3, "--passes", min=1, help="Runs of each server."),
    duration: float = typer.Option(WINDOW_S, "-d", "--duration", help="Seconds of each window."),
    output: Path = typer.Option(Path("selftest"), "-o", "--output", help="Where it is kept."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON."),
    list_cases: bool = typer.Option(False, "--list", help="List the servers and end."),
    resume: bool = typer.Option(
        False, "--continue", help="Go on with the passes that the output directory holds."
    ),
    store: bool = typer.Option(
        False,
        "--store-confidence",
        help="Keep the result with the package: reports show it beside every finding.",
    ),
) -> None:
    """Run the gallery, and say for every rule how often it was right, wrong, or did not know.

    The servers run in turn, each of them once a pass, so that a busy minute meets all of them; one
    that another program disturbed runs once more at the end of the pass. What is not installed is
    left out, with what would bring it. Exit status: 0 everything that is true was found and nothing
    else, 1 otherwise, 2 usage, 130 interrupted: what was measured is kept, and --continue goes on.
    """
    chosen = choose(only)
    if list_cases:
        for case in chosen:
            typer.echo(f"{case.name:<26} {case.group.value:<8} {case.runtime:<9} {case.title}")
        return
    seconds = parse_seconds(duration, "--duration") or WINDOW_S
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
    about = selftest_kept.about(seconds)
    told = selftest_kept.resumed(output / selftest_kept.RESULT, present, about) if resume else []
    passes = max([passes, *(run.number for run in told)])
    known = {case.name: case for case in present}
    done = {(run.name, run.number) for run in told if selftest_kept.stands(run, known[run.name])}
    interrupted = False
    try:
        for run in run_all(present, passes, seconds, output, done):
            # A run that is here already failed, or was disturbed.
            told = [one for one in told if (one.name, one.number) != (run.name, run.number)]
            told.append(run)
            selftest_kept.keep(truths, told, absent, {**about, "passes": passes}, output)
    except KeyboardInterrupt:
        interrupted = True
    document = selftest_kept.keep(truths, told, absent, {**about, "passes": passes}, output)
    written = [output / selftest_kept.RESULT]
    if png := report.picture(truths, told):
        written.append(output / selftest_kept.PICTURE)
        written[-1].write_bytes(png)
    if as_json:
        results_to.print(json.dumps(document, indent=1), soft_wrap=True, markup=False)
    else:
        results_to.print(report.text(truths, told, absent), soft_wrap=True, markup=False)
        results_to.print("\n" + "\n".join(map(str, written)), markup=False)
        results_to.print(f"\nVERDICT  {report.verdict(truths, told)}", soft_wrap=True, markup=False)
    if store and not interrupted:
        selftest_kept.store(document, len(present))
    wrong = any(
        score[outcome]
        for score in scores(truths, told).values()
        for outcome in (Outcome.FALSE, Outcome.MISSED, Outcome.UNDECIDED, Outcome.NOT_VALID)
    )
    raise typer.Exit(130 if interrupted else 1 if wrong or any(r.problem for r in told) else 0)


def choose(only: str | None) -> list[Case]:
    """The cases of these names and groups; without any, those of an ordinary pass.

    Raises: UsageError when there is no such server.
    """
    every = cases()
    if not only:
        return [case for case in every if case.group in PASS_GROUPS]
    words = [word.strip() for word in only.split(",") if word.strip()]
    groups = [group.value for group in Group]
    check_names(words, [*groups, *(case.name for case in every)], "server or group")
    return [case for case in every if case.name in words or case.group.value in words]


def run_all(
    present: Sequence[Case],
    passes: int,
    seconds: float,
    output: Path,
    done: Collection[tuple[str, int]] = (),
) -> Iterator[Told]:
    """One run after the other, every server once a pass, disturbed ones twice; without those that
    are done, by name and pass."""
    needs_profile = {name for name, rule in rules().items() if getattr(rule, "PROFILED", False)}
    for number in range(1, passes + 1):
        again: list[tuple[Case, bool]] = []
        for index, case in enumerate(present, 1):
            if (case.name, number) in done:
                continue
            profiled = bool(needs_profile & set(case.true_findings))
            may_need = case.group is not Group.FAULT or needs_profile & set(case.possible_findings)
            profiled = profiled or bool(may_need and (index + number) % PROFILED_OF == 0)
            told = _told(case, number, seconds, output, profiled)
            _say(f"pass {number}, {index} of {len(present)}", told)
            if (
                told.found(selftest_kept.DISTURBED)
                and selftest_kept.DISTURBED not in case.possible_findings
            ):
                again.append((case, profiled))
            yield told
        for index, (case, profiled) in enumerate(again, 1):
            told = replace(_told(case, number, seconds, output, profiled), repeated=True)
            _say(f"pass {number}, again, {index} of {len(again)}", told)
            yield told


def _told(case: Case, number: int, seconds: float, output: Path, profiled: bool) -> Told:
    began = time.monotonic()
    answers, problem = run_case(case, seconds, output / "runs", profiled)
    return Told(case.name, number, answers, problem, time.monotonic() - began, profiled=profiled)


def _say(where: str, told: Told) -> None:
    found = [rule for rule in told.answers if told.found(rule)]
    errors_to.print(
        f"{where}: {told.name:<26} {told.seconds:5.1f} s  "
        f"{told.problem or ', '.join(found) or 'nothing found'}",
        soft_wrap=True,
        markup=False,
    )


def run_case(
    case: Case, seconds: float, output: Path, profiled: bool = True
) -> tuple[dict[str, Answer], str]:
    """What every rule said of a server, by name; or the problem that kept the run from it."""
    try:
        command = case.prepare(cache_directory() / "gallery")
    except (BuildFailed, OSError) as error:
        return {}, str(error)
    words = ["run", case.scenario, "-c", str(case.connections)]
    words += ["-d", str(seconds), *PHASES, *case.run_options, "--no-report"]
    words += [] if profiled else ["--profile", "none"]
    words += ["--port", "0", "--json", "--name", case.name, "-o", str(output), "--", *command]
    with case.accompanied():
        # A process of its own, as for a user: nothing of one run is left for the next.
        ended = forked.run(words, case.environment, RUN_S)
    if ended is None:
        return {}, f"diagnose run was not over after {RUN_S:.0f} s"
    try:
        (run,) = json.loads(ended.stdout)["runs"]
    except (ValueError, KeyError):
        last = " ".join(ended.stderr.strip().splitlines()[-LAST_LINES:])
        return {}, f"diagnose run ended with {ended.status}: {last}"
    return {
        each["id"]: Answer(Verdict(each["verdict"]), Kind(each["kind"]), each["claim"])
        for each in run["findings"]
    }, ""
