"""`diagnose scenarios`: what can be sent."""

from __future__ import annotations

import sys

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from diagnose.cli.console import results_to
from diagnose.load.requests import prepare
from diagnose.model.scenario import RequestTemplate
from diagnose.scenario.catalog import find_scenario, shipped
from diagnose.units import format_bytes

AUTHORITY = "127.0.0.1:8080"


def scenarios(
    name: str | None = typer.Argument(None, help="One scenario: its requests."),
    as_json: bool = typer.Option(False, "--json", help="Print as JSON."),
) -> None:
    """List the scenarios, or show the requests of one."""
    chosen = [find_scenario(name)] if name else list(shipped().values())
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(chosen), indent=2).decode() + "\n")
        return
    table = Table(box=None)
    table.add_column("name", no_wrap=True)
    for title in ("connections", "pipeline", "per conn.", "what"):
        table.add_column(title)
    for scenario in chosen:
        table.add_row(
            Text(scenario.name),
            ", ".join(map(str, scenario.connections)),
            str(scenario.pipeline),
            str(scenario.requests_per_connection or "-"),
            Text(scenario.title),
        )
    results_to.print(table)
    if name:
        for template in chosen[0].templates:
            results_to.print(_shown(template))


def _shown(template: RequestTemplate) -> Text:
    request = prepare(template, AUTHORITY)
    text = Text(f"\n{template.name}\n", style="bold")
    for line in request.head.decode("latin-1").splitlines():
        text.append(f"  {line}\n", style="default")
    if request.payload:
        text.append(f"  ({format_bytes(template.payload_length)} of body)\n", style="dim")
    expect = template.expect
    wanted = [f"status {list(expect.status) or '2xx'}"]
    if expect.content_type:
        wanted.append(f"Content-Type {expect.content_type}")
    if expect.body is not None:
        wanted.append(f"body {expect.body!r}")
    if expect.items is not None:
        wanted.append(f"{expect.items} items with total = price * quantity * {expect.multiplier}")
    return text.append(f"  expects {', '.join(wanted)}", style="dim")
