"""`diagnose reference`: the healthy entry, or the same with one fault, in the foreground."""

from __future__ import annotations

import os
import sys

import typer

from diagnose.cli.options import check_names
from reference_server.faults import fault_names, load_fault


def reference(
    port: int = typer.Option(8080, "--port", min=0, max=65_535, help="Port; 0 takes a free one."),
    host: str = typer.Option("127.0.0.1", "--host", help="Address."),
    workers: int | None = typer.Option(None, "--workers", min=1, help="Processes (one per core)."),
    tls_port: int | None = typer.Option(None, "--tls-port", min=0, max=65_535, help="TLS too."),
    h2_port: int | None = typer.Option(
        None, "--h2-port", min=0, max=65_535, help="HTTP/2 over TLS too."
    ),
    h2c_port: int | None = typer.Option(
        None, "--h2c-port", min=0, max=65_535, help="HTTP/2 with prior knowledge too."
    ),
    fault: str | None = typer.Option(None, "--fault", help="What to do wrong."),
    list_faults: bool = typer.Option(False, "--list", help="List the faults and end."),
) -> None:
    """Run the reference server until Ctrl-C.

    To measure it: diagnose run baseline -- python -m reference_server --port '$PORT'
    """
    if list_faults:
        width = max(map(len, fault_names()))
        for name in fault_names():
            typer.echo(f"{name:<{width}} {load_fault(name).description.splitlines()[0]}")
        return
    if fault is not None:
        check_names([fault], fault_names(), "fault")
    arguments = ["--host", host, "--port", str(port)]
    for option, number in (
        ("--workers", workers),
        ("--tls-port", tls_port),
        ("--h2-port", h2_port),
        ("--h2c-port", h2c_port),
    ):
        if number is not None:
            arguments += [option, str(number)]
    if fault is not None:
        arguments += ["--fault", fault]
    os.execv(sys.executable, [sys.executable, "-m", "reference_server", *arguments])
