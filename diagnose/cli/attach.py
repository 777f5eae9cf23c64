"""`diagnose attach`: the same phases on a server that already runs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import typer

from diagnose.cli import run as run_command
from diagnose.cli.options import (
    adapt,
    check_target,
    chosen_scenario,
    parse_counts,
    parse_cpu_option,
    parse_phases,
    parse_seconds,
    parse_size,
    parse_workers,
)
from diagnose.errors import UsageError
from diagnose.recorder import RunOptions


def attach(
    scenario: str = run_command.SCENARIO,
    pid: int = typer.Option(..., "--pid", help="The server's first process."),
    url: str = typer.Option(
        ...,
        "--url",
        help="Where it listens, like http://127.0.0.1:8080; a path in it is the one to load.",
    ),
    connections: str | None = run_command.CONNECTIONS,
    duration: float | None = run_command.DURATION,
    pipeline: int | None = run_command.PIPELINE,
    requests: int | None = run_command.REQUESTS,
    name: str = run_command.NAME,
    output: Path = run_command.OUTPUT,
    as_json: bool = run_command.JSON,
    warmup: float | None = run_command.WARMUP,
    timeout: float | None = run_command.TIMEOUT,
    path: str | None = run_command.PATH,
    load_cpus: str | None = run_command.LOAD_CPUS,
    load_workers: int | None = run_command.LOAD_WORKERS,
    memory_limit: str | None = run_command.MEMORY_LIMIT,
    deadline: float | None = run_command.DEADLINE,
    profile: str = run_command.PROFILE,
    profile_duration: float = run_command.PROFILE_DURATION,
    idle: float = run_command.IDLE,
    cooldown: float = run_command.COOLDOWN,
    no_report: bool = run_command.NO_REPORT,
    driver: str = run_command.DRIVER,
    raw: str | None = run_command.RAW,
    rate: float | None = run_command.RATE,
    ramp: float | None = run_command.RAMP,
    send_rate: str | None = run_command.SEND_RATE,
    read_rate: str | None = run_command.READ_RATE,
    allow_remote: bool = run_command.ALLOW_REMOTE,
) -> None:
    """Load and sample a server that already runs; it is left running.

    The memory limit ends the load, not the server.
    """
    parts = urlsplit(url if "//" in url else f"http://{url}")
    # A WebSocket is opened by an HTTP request.
    parts = parts._replace(scheme={"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme))
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise UsageError(f"--url {url}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--url takes http://ADDRESS:PORT or https://ADDRESS:PORT, not {url!r}")
    chosen = adapt(
        chosen_scenario(scenario, raw),
        duration=duration,
        warmup=warmup,
        pipeline=pipeline,
        requests=requests,
        timeout=timeout,
        path=path or (parts.path if parts.path not in ("", "/") else None),
        rate=rate,
        ramp=ramp,
        send_rate=send_rate,
        read_rate=read_rate,
    )
    if parts.scheme == "https":
        chosen = replace(chosen, tls=True)
    base = RunOptions(
        scenario=chosen,
        connections=1,
        attach_pid=pid,
        host=check_target(parts.hostname, allow_remote),
        port=port,
        name=name,
        output=output,
        load_cpus=parse_cpu_option(load_cpus),
        load_workers=parse_workers(load_workers),
        memory_limit=parse_size(memory_limit),
        deadline_s=parse_seconds(deadline, "--deadline"),
        ready_timeout_s=5.0,
        profile=profile,
        **parse_phases(profile_duration, idle, cooldown),
        driver=driver,
        invocation=tuple(sys.argv[1:]),
    )
    counts = parse_counts(connections, chosen)
    raise typer.Exit(run_command.record_all(base, counts, as_json, report=not no_report))
