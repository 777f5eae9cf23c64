"""`diagnose scenarios`: what can be sent."""

from __future__ import annotations

import sys
from collections import Counter

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from diagnose.cli.console import results_to
from diagnose.cli.options import check_names, chosen_scenario
from diagnose.errors import UsageError
from diagnose.load.connection import SharedBody
from diagnose.load.expected import in_words
from diagnose.load.requests import prepare_for
from diagnose.model.scenario import Protocol, RequestTemplate, Scenario, Sending
from diagnose.scenario.catalog import shipped
from diagnose.units import format_bytes

# A request beyond this is not read but counted.
SHOWN = 1024


def scenarios(
    name: str | None = typer.Argument(None, help="One scenario: its requests."),
    as_json: bool = typer.Option(False, "--json", help="Print as JSON."),
    raw: bool = typer.Option(
        False, "--raw", help="The exact bytes of one scenario's requests, and nothing else."
    ),
    template: str | None = typer.Option(None, "--request", help="With --raw: only this request."),
) -> None:
    """List the scenarios, or show the requests of one."""
    if raw or template is not None:
        _write_raw(name, template)
        return
    chosen = [chosen_scenario(name, None)] if name else list(shipped().values())
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
        scenario = chosen[0]
        counts = Counter(template.name for template in scenario.templates)
        for request in dict.fromkeys(scenario.templates):
            results_to.print(_shown(scenario, request, counts[request.name]))
        said = _unusual(scenario)
        if said:
            results_to.print(Text(f"\n{said}", style="dim"))


def _write_raw(name: str | None, wanted: str | None) -> None:
    if name is None:
        raise UsageError("--raw shows one scenario: `diagnose scenarios NAME --raw`")
    scenario = chosen_scenario(name, None)
    if scenario.protocol is Protocol.H2:
        raise UsageError(f"{name}: the bytes of HTTP/2 are the driver's; there is nothing to show")
    templates = dict.fromkeys(scenario.templates)
    check_names([wanted] if wanted else [], [each.name for each in templates], "request")
    for template in templates:
        if wanted not in (None, template.name):
            continue
        request = prepare_for(scenario, template, f"127.0.0.1:{scenario.port}")
        sys.stdout.buffer.write(request.opening + request.head)
        if request.payload is not None:
            body = SharedBody(request.payload)
            try:
                position = 0
                while position < body.wire_length:
                    data = body.read(position, 1 << 20)
                    sys.stdout.buffer.write(data)
                    position += len(data)
            finally:
                body.close()
    sys.stdout.buffer.flush()


def _unusual(scenario: Scenario) -> str:
    """What a scenario does beside sending its requests as fast as answers come."""
    parts = [f"port {scenario.port}"] if scenario.port != 8080 else []
    if scenario.tls:
        parts.append("TLS")
    if scenario.server_cores:
        parts.append(f"the server gets {scenario.server_cores} CPUs")
    if scenario.rate:
        parts.append(f"{scenario.rate:g} requests/s, whatever the server does")
    if scenario.ramp_s:
        parts.append(f"connections opened over {scenario.ramp_s:g} s")
    for name, rate in (("sends", scenario.send_rate), ("reads", scenario.read_rate)):
        if rate:
            parts.append(f"{name} {format_bytes(rate)}/s on each connection")
    return ", ".join(parts)


def _printable(data: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in data)


def _shown(scenario: Scenario, template: RequestTemplate, count: int) -> Text:
    request = prepare_for(scenario, template, f"127.0.0.1:{scenario.port}")
    times = f" ({count} times in the rotation)" if count > 1 else ""
    text = Text(f"\n{template.name}{times}\n", style="bold")
    if scenario.protocol is Protocol.H2:
        text.append(f"  :method {template.method}, :path {template.target}\n", style="default")
        text.append("  HTTP/2: the driver writes the rest\n", style="dim")
        return text.append(f"  expects {in_words(template.expect)}", style="dim")
    for line in (request.opening or request.head)[:SHOWN].split(b"\r\n"):
        text.append(f"  {_printable(line)}\n", style="default")
    if request.opening:
        text.append(f"  then messages: {template.body!r}\n", style="default")
        return text.append("  expects each message back", style="dim")
    if len(request.head) > SHOWN:
        text.append(f"  (and {len(request.head) - SHOWN} bytes)\n", style="dim")
    if request.payload:
        text.append(f"  ({format_bytes(template.payload_length)} of body)\n", style="dim")
    if template.sending is not Sending.WHOLE:
        text.append(f"  (only the {template.sending.value} is sent)\n", style="dim")
    return text.append(f"  expects {in_words(template.expect)}", style="dim")
