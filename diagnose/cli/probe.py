"""`diagnose probe`: does a server keep the contract, one request at a time."""

from __future__ import annotations

import difflib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import typer
from rich.text import Text

from diagnose.cli.console import errors_to, results_to
from diagnose.cli.options import adapt, check_target, chosen_scenario, parse_seconds
from diagnose.cli.probe_target import port_options, url_parts
from diagnose.errors import ServerFailed, UsageError
from diagnose.load.validation import templates
from diagnose.load.validation.check import Check, Way
from diagnose.load.validation.runner import OPTIONS
from diagnose.load.validation.suite import ALL, APRIL, MARCH, contract_checks, groups_of
from diagnose.model.scenario import RequestTemplate, Scenario
from diagnose.model.validation import CheckResult, Outcome
from diagnose.plain import printable
from diagnose.recorder.probing import ProbeOptions
from diagnose.recorder.probing import probe as probe_server
from diagnose.reports import probe as report
from diagnose.scenario.catalog import shipped

LOG_LINES = 10
# Internal errors, and those of a server that stands before another.
INTERNAL = (500, 502, 503, 504)
# The simplest request of the contract; whatever is answered, the server is ready.
_READY = (RequestTemplate("ready", "GET", "/pipeline"),)


def probe(
    scenario: str = typer.Argument(
        "",
        help="all, all@ROUND, a scenario's name (`diagnose scenarios`), a .toml file, or a profile "
        "string.",
    ),
    command: list[str] | None = typer.Argument(
        None,
        metavar="-- COMMAND...",
        help="The server; $PORT, $TLS_PORT, $H2_PORT and $H2C_PORT are replaced and in its "
        "environment.",
    ),
    url: str | None = typer.Option(
        None, "--url", help="A server that runs already, like http://127.0.0.1:8080; no COMMAND."
    ),
    port: int | None = typer.Option(
        None, "--port", help="The server's port (the scenario's, or 8080); 0 takes a free one."
    ),
    host: str = typer.Option("127.0.0.1", "--host", help="The server's address."),
    tls_port: int | None = typer.Option(None, "--tls-port", help="Its port of HTTP/1.1 over TLS."),
    h2_port: int | None = typer.Option(None, "--h2-port", help="Its port of HTTP/2 over TLS."),
    h2c_port: int | None = typer.Option(
        None, "--h2c-port", help="Its port of HTTP/2 with prior knowledge, without TLS."
    ),
    path: str | None = typer.Option(
        None, "--path", help="Send every request of the scenario to this path instead."
    ),
    only: str | None = typer.Option(
        None, "--only", help="Only these checks or groups of checks, with commas between."
    ),
    list_checks: bool = typer.Option(False, "--list", help="List the checks and end."),
    as_json: bool = typer.Option(
        False, "--json", help="Print the result as JSON, with every exchange."
    ),
    ready_timeout: float = typer.Option(
        30.0, "--ready-timeout", help="Seconds until the server must answer."
    ),
    timeout: float = typer.Option(
        10.0, "--timeout", help="Seconds that each connection of a check may take."
    ),
    allow_remote: bool = typer.Option(
        False, "--allow-remote", help="Ask an address that is not loopback."
    ),
) -> None:
    """Ask a server what the benchmark validates, one check at a time, without any load.

    One line for each check, and below each that failed the exact exchange. Exit status: 0 all
    passed, 1 something failed, 2 usage, 3 the server failed to start or died, 130 interrupted.
    """
    running = None if url is None else url_parts(url)
    if running is not None:
        path = path or running[3]
    chosen, checks = _chosen(scenario, path)
    checks = _only(checks, only)
    if list_checks:
        for check in checks:
            typer.echo(check.id)
        return
    words = tuple(command or ())
    given = {Way.TLS: tls_port, Way.H2: h2_port, Way.H2C: h2c_port}
    if running is not None:
        if words:
            raise UsageError("either --url, for a server that runs already, or a command")
        if port is not None:
            raise UsageError("--port is for a server that is started; with --url it stands there")
        host, port, secure, _ = running
        chosen = replace(chosen, tls=secure)
        ready_timeout = min(ready_timeout, 5.0)
    elif not words:
        raise UsageError(
            "no command: write the server's command behind `--`, for example "
            f"`diagnose probe {scenario or ALL} -- ./my-server --port '$PORT'`, or name a server "
            "that runs already with --url"
        )
    address = check_target(host, allow_remote)
    found = port_options(chosen, address, words, port, given)
    checks = tuple(checks)
    if all(check.way not in found.target.ports for check in checks):
        way = checks[0].way
        raise UsageError(f"nothing can be asked: no port for {way}; {OPTIONS[way]} names it")
    with tempfile.TemporaryDirectory(prefix="diagnose-") as scratch:
        options = replace(
            found,
            checks=checks,
            log=Path(scratch) / "server.log",
            ready_timeout_s=parse_seconds(ready_timeout, "--ready-timeout") or 0.0,
            timeout_s=parse_seconds(timeout, "--timeout") or 0.0,
        )
        status = _report(options, as_json)
    raise typer.Exit(status)


def _chosen(name: str, path: str | None) -> tuple[Scenario, tuple[Check, ...]]:
    """The scenario and the checks that belong to it."""
    word, _, round_name = name.partition("@")
    if not name:
        raise UsageError(
            f"no scenario: `{ALL}` checks the whole contract; `diagnose scenarios` lists the others"
        )
    known = shipped()
    files = known["static"].templates
    if word == ALL:
        _no_path(path, name)
        if round_name not in ("", MARCH, APRIL):
            raise UsageError(f"no round {round_name!r}; known: {MARCH}, {APRIL}")
        every = contract_checks(files, round_name)
        return Scenario(ALL, "the whole contract", round_name, _READY, (1,)), every
    scenario = chosen_scenario(name, None)
    groups = groups_of(scenario.name) if scenario.name in known and "|" not in name else None
    if groups is None or name.endswith(".toml"):
        scenario = adapt(scenario, path=path)
        return scenario, templates.checks(scenario)
    _no_path(path, name)
    return scenario, tuple(check for check in contract_checks(files) if check.group in groups)


def _no_path(path: str | None, name: str) -> None:
    if path is not None:
        raise UsageError(
            f"the checks of {name} know their own paths: leave {path} away, or ask it with "
            "`diagnose probe get --path`"
        )


def _only(checks: Sequence[Check], wanted: str | None) -> tuple[Check, ...]:
    """The checks that are named by id or by group."""
    if wanted is None:
        return tuple(checks)
    names = [word.strip() for word in wanted.split(",") if word.strip()]
    known = {name for check in checks for name in (check.id, check.group)}
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"no check {name!r} here; {hint}--list shows them")
    chosen = tuple(check for check in checks if check.id in names or check.group in names)
    if not chosen:
        raise UsageError("--only names no check; --list shows them")
    return chosen


def _report(options: ProbeOptions, as_json: bool) -> int:
    """Make the checks and print them as they come; the exit status."""
    results: list[CheckResult] = []
    refused: set[tuple[str, frozenset[int]]] = set()

    def told(result: CheckResult) -> None:
        results.append(result)
        if not as_json:
            _print(result, refused)

    state, died = "complete", None
    tail: tuple[str, ...] = ()
    try:
        end = probe_server(options, told)
        state = "interrupted" if end.interrupted else state
        tail = end.log_tail
    except ServerFailed as failed:
        state, died = "failed", failed
    if as_json:
        numbers = {str(way): number for way, number in options.target.ports.items()}
        text = report.document(results, len(options.checks), state, numbers)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    elif results or died is None:
        told_last = report.verdict(results, len(options.checks))
        results_to.print(Text("\n").append(told_last), soft_wrap=True)
    if died is not None:
        raise died
    if state == "interrupted":
        return 130
    if tail and any(_server_knows_why(result) for result in results):
        errors_to.print(Text("the last lines of the server's output:", style="dim"))
        for line in tail[-LOG_LINES:]:
            errors_to.print(Text(printable(f"  | {line}")), soft_wrap=True)
    return int(any(result.failed for result in results))


def _print(result: CheckResult, refused: set[tuple[str, frozenset[int]]]) -> None:
    """refused: endpoints with the errors that they answered; each is shown once."""
    statuses = frozenset(result.statuses)
    key = (result.endpoint, statuses)
    known = key in refused
    if statuses and min(statuses) >= 400:
        refused.add(key)
    results_to.print(report.line(result, known=known), soft_wrap=True)
    if result.failed and not known:
        results_to.print(report.shown_exchange(result), soft_wrap=True)


def _server_knows_why(result: CheckResult) -> bool:
    """It failed inside: its output may say more than its answer, or in place of it."""
    silent = result.outcome is Outcome.ERROR and not result.statuses
    return silent or (result.failed and any(status in INTERNAL for status in result.statuses))
