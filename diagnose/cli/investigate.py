"""`diagnose investigate`: run a server, and prove by experiment what is suspected of it."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import typer

from diagnose.cli import run as run_command
from diagnose.cli.console import Progress, Quieter, errors_to, results_to
from diagnose.cli.contrast import contrast, words_of
from diagnose.cli.options import (
    adapt,
    chosen_scenario,
    parse_counts,
    parse_cpu_option,
    parse_seconds,
    parse_size,
    parse_workers,
)
from diagnose.cli.results import exit_status
from diagnose.errors import UsageError
from diagnose.experiments import _planning, _running, connections, knob
from diagnose.model.experiment import Decision, Leg, Outcome, Plan, Planned
from diagnose.model.report import Analyzed
from diagnose.recorder import RunOptions, record
from diagnose.reports import html
from diagnose.reports import investigation as report
from diagnose.reports.html import Beside
from diagnose.store import together
from diagnose.store.investigated import read_investigation
from diagnose.store.reader import read_run
from diagnose.store.writer import write_findings, write_report

# Of the first run: long enough for its rules, shorter than that of `run`.
WINDOW_S, PROFILE_S, IDLE_S, COOLDOWN_S = 3.0, 2.0, 1.0, 1.2
BUDGET_S = 120.0
KIND = "investigation"
# A server that died or gave no result is no side of a comparison.
CONTRASTED = (0, 1, 4)


def investigate(
    scenario: str = run_command.SCENARIO,
    command: list[str] | None = typer.Argument(
        None, metavar="-- COMMAND...", help="The server; $PORT is replaced and in its environment."
    ),
    start: Path | None = typer.Option(
        None, "--from", help="Go on from this run: its server, scenario and findings."
    ),
    budget: float = typer.Option(BUDGET_S, "--budget", help="Seconds for the experiments."),
    vary: str | None = typer.Option(
        None, "--vary", help="A variable of the environment to try: WORKERS=1,2,4."
    ),
    vary_arg: str | None = typer.Option(
        None, "--vary-arg", help="An argument to try: '--workers {1,2,4}'."
    ),
    count: str | None = run_command.CONNECTIONS,
    duration: float | None = run_command.DURATION,
    pipeline: int | None = run_command.PIPELINE,
    requests: int | None = run_command.REQUESTS,
    port: int | None = typer.Option(
        None, "--port", help="The server's port (the scenario's); 0 takes a free one."
    ),
    name: str = run_command.NAME,
    output: Path = run_command.OUTPUT,
    as_json: bool = run_command.JSON,
    warmup: float | None = run_command.WARMUP,
    timeout: float | None = run_command.TIMEOUT,
    rate: float | None = run_command.RATE,
    path: str | None = run_command.PATH,
    server_cpus: str | None = run_command.SERVER_CPUS,
    load_cpus: str | None = run_command.LOAD_CPUS,
    load_workers: int | None = run_command.LOAD_WORKERS,
    memory_limit: str | None = run_command.MEMORY_LIMIT,
    ready_timeout: float = typer.Option(
        30.0, "--ready-timeout", help="Seconds until the server must answer."
    ),
    profile: str = run_command.PROFILE,
    raw: str | None = run_command.RAW,
    against: str = run_command.AGAINST,
) -> None:
    """Run a server, then confirm or refute by experiment what is suspected of it.

    The first run finds suspects; for each the cheapest experiment that decides it is planned,
    within the budget, and the plan is said before it starts. Every leg is a run in the store. Exit
    status: 1 when a cause is confirmed, else that of `diagnose run` for the first run; 130 when
    interrupted: what was measured is kept.
    """
    began = time.monotonic()
    if against and as_json:
        raise UsageError("--against prints a table: `diagnose compare --json` is for programs")
    other = words_of(against) if against else ()
    seconds = parse_seconds(budget, "--budget") or BUDGET_S
    if start is not None:
        if command or scenario:
            raise UsageError("--from takes scenario and command of its run: leave them out")
        base, options = stored(start)
        options = replace(options, output=output)
    else:
        words = list(command or ())
        if not words:
            raise UsageError(
                "no command: write the server's command behind `--`, for example "
                f"`diagnose investigate {scenario or 'baseline'} -- ./my-server --port '$PORT'`"
            )
        chosen = chosen_scenario(scenario, raw)
        chosen = adapt(
            chosen,
            duration=min(chosen.duration_s, WINDOW_S) if duration is None else duration,
            warmup=warmup,
            pipeline=pipeline,
            requests=requests,
            timeout=timeout,
            path=path,
            rate=rate,
        )
        counts = parse_counts(count, chosen)
        if len(counts) > 1:
            raise UsageError(f"an investigation takes one connection count (-c), not {count}")
        base = None
        options = RunOptions(
            scenario=chosen,
            connections=counts[0],
            command=tuple(words),
            port=chosen.port if port is None else port,
            name=name,
            output=output,
            server_cpus=parse_cpu_option(server_cpus),
            load_cpus=parse_cpu_option(load_cpus),
            load_workers=parse_workers(load_workers),
            memory_limit=parse_size(memory_limit),
            ready_timeout_s=parse_seconds(ready_timeout, "--ready-timeout") or 30.0,
            profile=profile,
            profile_s=PROFILE_S,
            idle_s=IDLE_S,
            cooldown_s=COOLDOWN_S,
            invocation=tuple(sys.argv[1:]),
        )
    legs = _varied(vary, vary_arg, options.command)
    status = _investigate(base, options, seconds, legs, as_json, began)
    if other and status in CONTRASTED:
        contrast(options, options.connections, against, other)
    raise typer.Exit(status)


def stored(start: Path) -> tuple[Analyzed, RunOptions]:
    """A run in the store, and the options that repeat it.

    Raises: UsageError when it was not launched by us, or gave no result.
    """
    run = read_run(start)
    manifest = run.manifest
    if not manifest.launch.command:
        raise UsageError(f"{start}: the server was attached to; experiments have to launch it")
    if run.load is None:
        raise UsageError(f"{start}: the run gave no result to experiment on")
    options = RunOptions(
        scenario=manifest.scenario,
        connections=manifest.connections,
        command=manifest.launch.command,
        host=manifest.launch.host,
        port=manifest.launch.port,
        name=manifest.launch.name,
        server_cpus=manifest.host.server_cpus,
        load_cpus=manifest.host.load_cpus,
        memory_limit=manifest.guard.limit_bytes or None,
        driver="" if run.load.generator == "diagnose" else run.load.generator,
        invocation=tuple(sys.argv[1:]),
    )
    return _running.analyzed(start), options


def _varied(vary: str | None, vary_arg: str | None, command: tuple[str, ...]) -> tuple[Leg, ...]:
    try:
        if vary and vary_arg:
            raise ValueError("one setting at a time: --vary or --vary-arg")
        if vary:
            return knob.by_environment(vary)
        return knob.by_argument(vary_arg, command) if vary_arg else ()
    except ValueError as error:
        raise UsageError(str(error)) from None


def _investigate(
    base: Analyzed | None,
    options: RunOptions,
    budget_s: float,
    varied: tuple[Leg, ...],
    as_json: bool,
    began: float,
) -> int:
    directory = together.make(options.output, options.name or Path(options.command[0]).name, KIND)
    options = replace(options, output=directory)
    with Progress(quiet=as_json) as progress:
        if base is None:
            first = record(options, progress)
            base = _running.analyzed(first)
            write_findings(first, base.findings)
        suspects = _planning.suspects(base)
        plan = _planning.plan(base.run, suspects, budget_s)
        if varied:
            plan = _with_knob(plan, base, varied)
        titles = {name: module.TITLE for name, module in _planning.experiments().items()}
        for line in report.plan_lines(plan, titles):
            progress.note(line)
        if as_json:
            for line in report.plan_lines(plan, titles):
                errors_to.print(line, markup=False, soft_wrap=True)
        done = report.Investigation(str(directory), base, plan, titles)
        interrupted = base.run.manifest.state == "interrupted"
        decisions: list[Decision] = []
        remarks: list[str] = []
        runs = _running.Legs(base, options, Quieter.of(progress))
        try:
            for planned in () if interrupted else plan.experiments:
                seen = runs.seen(planned)
                decisions += _running.decide(base, planned, seen, suspects, began)
                if planned.experiment == "connections":
                    remarks += [text for text in [connections.remark(base.run, seen)] if text]
                if planned.experiment == "knob":
                    remarks += knob.table(seen)
                done = replace(done, decisions=tuple(decisions), remarks=tuple(remarks))
                done = replace(done, runs=tuple(runs.directories), seconds=time.monotonic() - began)
                together.write(directory, KIND, report.document(done), report.page(done))
        except _running.Stopped:
            interrupted = True
    done = replace(
        done,
        complete=not interrupted,
        runs=tuple(runs.directories),
        seconds=time.monotonic() - began,
    )
    document = report.document(done)
    together.write(directory, KIND, document, report.page(done))
    if as_json:
        results_to.print(json.dumps(document, indent=1), soft_wrap=True, markup=False)
    else:
        results_to.print(report.render(done))
    page = html.files(base, Beside(read_investigation(directory)))
    (written,) = write_report(directory, page)
    if not as_json:
        results_to.print(f"page: {written}", soft_wrap=True, markup=False)
    if interrupted:
        errors_to.print("interrupted: the result rests on what was measured until then")
        return 130
    confirmed = any(one.outcome is Outcome.CONFIRMED for one in decisions)
    return 1 if confirmed else exit_status(base)


def _with_knob(plan: Plan, base: Analyzed, legs: tuple[Leg, ...]) -> Plan:
    """The user's own experiment comes first, and decides what it can."""
    mine = tuple(finding.id for finding in _planning.suspects(base) if finding.id in knob.DECIDES)
    cost = sum(_planning.leg_s(base.run, leg) for leg in legs) * knob.REPEATS
    first = Planned("knob", mine, legs, knob.REPEATS, cost)
    return replace(plan, experiments=(first, *plan.experiments))
