"""All commands."""

from __future__ import annotations

import logging

import typer
from rich.logging import RichHandler

import diagnose
from diagnose.cli import (
    attach,
    bundle,
    compare,
    demo,
    doctor,
    findings,
    history,
    investigate,
    minimize,
    probe,
    reference,
    report,
    run,
    scenarios,
    selftest,
)
from diagnose.cli.console import errors_to

app = typer.Typer(
    name="diagnose",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Why is this HTTP server slow, and how do I prove it to the person who can fix it?",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"diagnose {diagnose.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and end."
    ),
    verbose: bool = typer.Option(False, "--verbose", help="Log what happens inside."),
) -> None:
    """Options of every command."""
    if verbose:
        logging.basicConfig(
            level=logging.DEBUG,
            format="%(name)s: %(message)s",
            handlers=[RichHandler(console=errors_to, show_path=False)],
        )
        logging.getLogger("matplotlib").setLevel(logging.WARNING)
    else:
        logging.getLogger("diagnose").addHandler(logging.NullHandler())


app.command("run")(run.run)
app.command("attach")(attach.attach)
app.command("investigate")(investigate.investigate)
app.command("compare")(compare.compare)
app.command("minimize")(minimize.minimize)
app.command("probe")(probe.probe)
app.command("report")(report.report)
app.command("bundle")(bundle.bundle)
app.command("history")(history.history)
app.command("scenarios")(scenarios.scenarios)
app.command("findings")(findings.findings)
app.command("doctor")(doctor.doctor)
app.command("selftest")(selftest.selftest)
app.command("reference")(reference.reference)
app.command("demo")(demo.demo)
