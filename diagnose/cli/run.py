"""`diagnose run`: launch a server, load it, say what is wrong."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import typer

from diagnose.cli.console import Progress
from diagnose.cli.contrast import contrast, words_of
from diagnose.cli.gates import NOTHING_ASKED, Asked, wanted_gates
from diagnose.cli.options import (
    adapt,
    check_target,
    chosen_scenario,
    names_scenario,
    parse_counts,
    parse_cpu_option,
    parse_phases,
    parse_seconds,
    parse_size,
    parse_workers,
)
from diagnose.cli.results import finish
from diagnose.errors import UsageError
from diagnose.recorder import RunOptions, record
from diagnose.recorder.memory_profile import check_name as check_memory_profile
from diagnose.recorder.memory_profile import memory_profile as profile_memory
from diagnose.store.reader import read_run

# More take more than an hour of the shortest scenario.
MOST_RUNS = 100
SCENARIO = typer.Argument(
    "",
    help="A scenario's name (`diagnose scenarios`), a .toml file, or a profile string of the "
    "benchmark like '1|10||512,4096|'.",
)
CONNECTIONS = typer.Option(
    None, "-c", "--connections", help="Connections; several counts with commas: one run each."
)
DURATION = typer.Option(None, "-d", "--duration", help="Seconds of the measured window.")
PIPELINE = typer.Option(None, "-p", "--pipeline", help="Requests in flight on a connection.")
REQUESTS = typer.Option(
    None, "-r", "--requests", help="Requests per connection before the client closes; 0: never."
)
WARMUP = typer.Option(None, "--warmup", help="Seconds of load before the window.")
TIMEOUT = typer.Option(
    None, "--timeout", help="Seconds without a byte after which a request counts as hung."
)
PATH = typer.Option(None, "--path", help="Send every request to this path instead.")
NAME = typer.Option("", "--name", help="Name of the server in reports and directory names.")
OUTPUT = typer.Option(Path("runs"), "-o", "--output", help="Where run directories are made.")
JSON = typer.Option(False, "--json", help="Print the result as JSON.")
SERVER_CPUS = typer.Option(None, "--server-cpus", help="CPUs of the server, like 0-3,6.")
LOAD_CPUS = typer.Option(None, "--load-cpus", help="CPUs of the load generator.")
LOAD_WORKERS = typer.Option(
    None, "--load-workers", help="Load processes (as many as a trial shows to be needed)."
)
MEMORY_LIMIT = typer.Option(
    None, "--memory-limit", help="Stop the server above this, like 4G (80 % of free memory)."
)
DEADLINE = typer.Option(None, "--deadline", help="End the run after so many seconds.")
PROFILE = typer.Option("auto", "--profile", help="auto, none, or a profiler's name.")
PROFILE_DURATION = typer.Option(3.0, "--profile-duration", help="Seconds of the profiled window.")
IDLE = typer.Option(1.0, "--idle", help="Seconds without load before the probes.")
COOLDOWN = typer.Option(2.0, "--cooldown", help="Seconds without load at the end.")
NO_REPORT = typer.Option(
    False, "--no-report", help="Write no report.md with pictures (`diagnose report` does it later)."
)
DRIVER = typer.Option(
    "", "--driver", help="Load with wrk, h2load, gcannon or oha instead of the embedded engine."
)
RAW = typer.Option(
    None, "--raw", help="Raw request templates: files with commas between, or a directory."
)
RATE = typer.Option(
    None, "--rate", help="Requests due per second, whatever the server does (open loop)."
)
RAMP = typer.Option(None, "--ramp", help="Open the connections evenly over so many seconds.")
SEND_RATE = typer.Option(
    None, "--send-rate", help="Bytes per second sent on each connection, like 64K: slow senders."
)
READ_RATE = typer.Option(
    None, "--read-rate", help="Bytes per second read on each connection: slow readers."
)
RUNS = typer.Option(
    1, "--runs", help="Repeat the run so often; the best counts, and the spread is shown."
)
MEMORY_PROFILE = typer.Option(
    "",
    "--memory-profile",
    help="Launch the server once more below auto, memray, scalene, class_histogram, "
    "heap_sampling or page_faults.",
)
AGAINST = typer.Option(
    "", "--against", help="Then compare with this command in pairs, or with `reference`."
)
FAIL_ON = typer.Option(
    None, "--fail-on", help="Findings, with commas: only these make the exit status 1."
)
BUDGET_MEMORY = typer.Option(
    None, "--budget-memory", help="Exit status 1 when the peak RSS is above this, like 512M."
)
MIN_RPS_RATIO = typer.Option(
    None, "--min-rps-ratio", help="Exit status 1 below this share of --baseline's throughput."
)
BASELINE = typer.Option(None, "--baseline", help="A stored run to hold the throughput against.")
JUNIT = typer.Option(None, "--junit", help="Write the result as JUnit XML into this file.")
ANNOTATIONS = typer.Option(
    False, "--annotations", help="Print the result as annotations of GitHub Actions, too."
)
ALLOW_REMOTE = typer.Option(False, "--allow-remote", help="Load an address that is not loopback.")


def run(
    scenario: str = SCENARIO,
    command: list[str] | None = typer.Argument(
        None, metavar="-- COMMAND...", help="The server; $PORT is replaced and in its environment."
    ),
    connections: str | None = CONNECTIONS,
    duration: float | None = DURATION,
    pipeline: int | None = PIPELINE,
    requests: int | None = REQUESTS,
    port: int | None = typer.Option(
        None, "--port", help="The server's port (the scenario's); 0 takes a free one."
    ),
    host: str = typer.Option("127.0.0.1", "--host", help="The server's address."),
    name: str = NAME,
    output: Path = OUTPUT,
    as_json: bool = JSON,
    warmup: float | None = WARMUP,
    timeout: float | None = TIMEOUT,
    path: str | None = PATH,
    server_cpus: str | None = SERVER_CPUS,
    load_cpus: str | None = LOAD_CPUS,
    load_workers: int | None = LOAD_WORKERS,
    memory_limit: str | None = MEMORY_LIMIT,
    deadline: float | None = DEADLINE,
    ready_timeout: float = typer.Option(
        30.0, "--ready-timeout", help="Seconds until the server must answer."
    ),
    profile: str = PROFILE,
    profile_duration: float = PROFILE_DURATION,
    idle: float = IDLE,
    cooldown: float = COOLDOWN,
    no_report: bool = NO_REPORT,
    driver: str = DRIVER,
    raw: str | None = RAW,
    rate: float | None = RATE,
    ramp: float | None = RAMP,
    send_rate: str | None = SEND_RATE,
    read_rate: str | None = READ_RATE,
    runs: int = RUNS,
    memory_profile: str = MEMORY_PROFILE,
    against: str = AGAINST,
    fail_on: str | None = FAIL_ON,
    budget_memory: str | None = BUDGET_MEMORY,
    min_rps_ratio: float | None = MIN_RPS_RATIO,
    baseline: Path | None = BASELINE,
    junit: Path | None = JUNIT,
    annotations: bool = ANNOTATIONS,
    allow_remote: bool = ALLOW_REMOTE,
) -> None:
    """Launch a server, wait until it answers, load it, sample it, and say what is wrong.

    Exit status: 0 nothing found, 1 a cause or symptom was found, 2 usage, 3 the server failed to
    start or died, 4 the measurement is not valid and nothing else was found, 130 interrupted. With
    --fail-on, --budget-memory or --min-rps-ratio it is 1 when one of these is not kept or cannot be
    told, and 0 when all are.
    """
    words = list(command or ())
    if raw is not None and scenario and not names_scenario(scenario):
        # `run --raw get.raw -- CMD`: the first word behind `--` was taken for the scenario.
        scenario, words = "", [scenario, *words]
    if not words:
        raise UsageError(
            "no command: write the server's command behind `--`, for example "
            f"`diagnose run {scenario or 'baseline'} -- ./my-server --port '$PORT'`"
        )
    if port is not None and not 0 <= port <= 65535:
        raise UsageError(f"--port takes 0 to 65535, not {port}")
    if not 1 <= runs <= MOST_RUNS:
        raise UsageError(f"--runs takes 1 to {MOST_RUNS}, not {runs}")
    chosen = adapt(
        chosen_scenario(scenario, raw),
        duration=duration,
        warmup=warmup,
        pipeline=pipeline,
        requests=requests,
        timeout=timeout,
        path=path,
        rate=rate,
        ramp=ramp,
        send_rate=send_rate,
        read_rate=read_rate,
    )
    base = RunOptions(
        scenario=chosen,
        connections=1,
        command=tuple(words),
        host=check_target(host, allow_remote),
        port=chosen.port if port is None else port,
        name=name,
        output=output,
        server_cpus=parse_cpu_option(server_cpus),
        load_cpus=parse_cpu_option(load_cpus),
        load_workers=parse_workers(load_workers),
        memory_limit=parse_size(memory_limit),
        deadline_s=parse_seconds(deadline, "--deadline"),
        ready_timeout_s=parse_seconds(ready_timeout, "--ready-timeout") or 30.0,
        profile=profile,
        **parse_phases(profile_duration, idle, cooldown),
        driver=driver,
        invocation=tuple(sys.argv[1:]),
    )
    asked = Asked(wanted_gates(fail_on, budget_memory, min_rps_ratio, baseline), junit, annotations)
    check_memory_profile(memory_profile)
    counts = parse_counts(connections, chosen)
    if against and as_json:
        raise UsageError("--against prints a table: `diagnose compare --json` is for programs")
    other = words_of(against) if against else ()
    status = record_all(base, counts, as_json, runs, not no_report, asked, memory_profile)
    if other and status in (0, 1, 4):
        contrast(base, counts[-1], against, other)
    raise typer.Exit(status)


def record_all(
    base: RunOptions,
    counts: list[int],
    as_json: bool,
    runs: int = 1,
    report: bool = True,
    asked: Asked = NOTHING_ASKED,
    memory: str = "",
) -> int:
    """So many runs for each connection count, then the verdicts; the exit status.

    The counts take turns: what changes on the machine meanwhile falls on all of them.
    """
    directories: list[Path] = []
    with Progress(quiet=as_json) as progress:
        for number, count in product(range(runs), counts):
            if len(counts) > 1 or runs > 1:
                turn = f", run {number + 1} of {runs}" if runs > 1 else ""
                progress.note(f"{count} connections{turn}")
            directories.append(record(replace(base, connections=count), progress))
            if read_run(directories[-1]).manifest.state == "interrupted":
                break
        if memory:
            progress.note("the server once more, below a memory profiler")
            last = replace(base, connections=counts[-1])
            profile_memory(directories[-1], last, memory, progress)
    return finish(directories, as_json, report, asked)
