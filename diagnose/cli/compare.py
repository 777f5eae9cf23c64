"""`diagnose compare`: did the server get better or worse?"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import typer

from diagnose.analysis.comparable import differences
from diagnose.cli import run as run_command
from diagnose.cli.console import Quieter, errors_to, results_to
from diagnose.cli.contrast import (
    COOLDOWN_S,
    IDLE_S,
    WARM_UP_S,
    WINDOW_S,
    comparison_of,
    words_of,
)
from diagnose.cli.options import (
    adapt,
    chosen_scenario,
    parse_counts,
    parse_cpu_option,
    parse_seconds,
    parse_size,
    parse_workers,
)
from diagnose.errors import UsageError
from diagnose.experiments._pairs import Sides, record_pairs
from diagnose.experiments._running import analyzed
from diagnose.recorder import RunOptions
from diagnose.reports import comparison as report
from diagnose.store import together
from diagnose.store.layout import MANIFEST

BUDGET_S = 180.0
SERVER_FAILED = 3


def compare(
    what: list[str] | None = typer.Argument(
        None,
        metavar="RUN RUN | SCENARIO",
        help="Two runs, or two directories of runs of one load; with --base and --new a scenario.",
    ),
    base: str | None = typer.Option(
        None, "--base", help="A server's command, or `reference`: the server before the change."
    ),
    new: str | None = typer.Option(None, "--new", help="The command after the change."),
    budget: float = typer.Option(BUDGET_S, "--budget", help="Seconds for all pairs."),
    anyway: bool = typer.Option(
        False, "--anyway", help="Compare runs that differ in more than the server, and say in what."
    ),
    count: str | None = run_command.CONNECTIONS,
    duration: float = typer.Option(WINDOW_S, "-d", "--duration", help="Seconds of each window."),
    warmup: float = typer.Option(WARM_UP_S, "--warmup", help="Seconds of load before each window."),
    pipeline: int | None = run_command.PIPELINE,
    requests: int | None = run_command.REQUESTS,
    port: int | None = typer.Option(
        None, "--port", help="The servers' port (the scenario's); 0 takes free ones."
    ),
    output: Path = run_command.OUTPUT,
    as_json: bool = run_command.JSON,
    timeout: float | None = run_command.TIMEOUT,
    path: str | None = run_command.PATH,
    server_cpus: str | None = run_command.SERVER_CPUS,
    load_cpus: str | None = run_command.LOAD_CPUS,
    load_workers: int | None = run_command.LOAD_WORKERS,
    memory_limit: str | None = run_command.MEMORY_LIMIT,
) -> None:
    """Compare two runs, or two commands that are run in turn (A B B A) until the answer is clear.

    A metric got better or worse when that is no chance (paired sign-flip test, for all metrics
    together) and matters: by 2 % at least, and by more than the base differs from itself here.
    Exit status: 0 nothing got worse, 1 something did, 2 usage, 3 a server failed to start, died or
    answered nothing right, 130 interrupted: what was measured is compared.
    """
    words = list(what or ())
    if base is None and new is None:
        if len(words) != 2:
            raise UsageError(
                "two runs are compared, or two commands: `diagnose compare RUN RUN`, or `diagnose "
                "compare baseline --base './old $PORT' --new './new $PORT'`"
            )
        raise typer.Exit(_stored(Path(words[0]), Path(words[1]), anyway, as_json))
    if base is None or new is None or len(words) > 1:
        raise UsageError("commands are compared with --base, --new and one scenario")
    chosen = adapt(
        chosen_scenario(words[0] if words else "baseline", None),
        duration=duration,
        warmup=warmup,
        pipeline=pipeline,
        requests=requests,
        timeout=timeout,
        path=path,
    )
    counts = parse_counts(count, chosen)
    if len(counts) > 1:
        raise UsageError(f"a comparison takes one connection count (-c), not {count}")
    options = RunOptions(
        scenario=chosen,
        connections=counts[0],
        port=chosen.port if port is None else port,
        server_cpus=parse_cpu_option(server_cpus),
        load_cpus=parse_cpu_option(load_cpus),
        load_workers=parse_workers(load_workers),
        memory_limit=parse_size(memory_limit),
        profile="none",
        idle_s=IDLE_S,
        cooldown_s=COOLDOWN_S,
        probes=False,
        invocation=tuple(sys.argv[1:]),
    )
    seconds = parse_seconds(budget, "--budget") or BUDGET_S
    raise typer.Exit(_recorded(options, base, new, seconds, output, as_json))


def _recorded(
    options: RunOptions, base: str, new: str, budget_s: float, output: Path, as_json: bool
) -> int:
    began = time.monotonic()
    first = replace(options, command=words_of(base), name="base")
    second = replace(options, command=words_of(new), name="new")
    directory = together.make(output, options.scenario.name, "comparison")
    with Quieter(quiet=as_json) as progress:
        sides = record_pairs(
            replace(first, output=directory), replace(second, output=directory), progress, budget_s
        )
    done = comparison_of(sides, base, new, (), time.monotonic() - began)
    together.write(directory, "comparison", report.document(done), report.page(done))
    status = _show(done, as_json)
    if not as_json:
        results_to.print(f"comparison: {directory}", markup=False, soft_wrap=True)
    if sides.stopped == "interrupted":
        errors_to.print("interrupted: the comparison rests on what was measured until then")
        return 130
    return status


def _stored(base: Path, new: Path, anyway: bool, as_json: bool) -> int:
    sides = Sides([analyzed(path) for path in _runs(base)], [analyzed(path) for path in _runs(new)])
    found = sorted(
        {
            line
            for one, two in zip(sides.base, sides.new, strict=False)
            for line in differences(one.run, two.run)
        }
    )
    if found and not anyway:
        raise UsageError(
            "the runs differ in more than the server: "
            + "; ".join(found)
            + ". Repeat one of them alike, or compare them --anyway"
        )
    done = comparison_of(sides, str(base), str(new), tuple(found), 0.0)
    return _show(done, as_json)


def _runs(path: Path) -> list[Path]:
    """A run, or the runs that a directory holds, in the order of time.

    Raises: UsageError when it holds none.
    """
    if (path / MANIFEST).exists() or not path.is_dir():
        return [path]
    runs = sorted(inner.parent for inner in path.glob(f"*/{MANIFEST}"))
    if not runs:
        raise UsageError(f"{path} holds no run: name the directory of a run, or one of runs")
    return runs


def _show(done: report.Comparison, as_json: bool) -> int:
    if as_json:
        text = json.dumps(report.document(done), indent=1)
        results_to.print(text, soft_wrap=True, markup=False)
    else:
        results_to.print(report.render(done))
    if done.failed:
        return SERVER_FAILED
    return 1 if done.regressed else 0
