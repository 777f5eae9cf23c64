"""What a scenario asks for, held against what a driver can do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from diagnose.load.drivers._driver import Judgement
from diagnose.load.drivers._sent import (
    Rotation,
    has_values,
    has_values_beside_target,
    sent,
    wire_length,
)
from diagnose.model.scenario import (
    INLINE_BODY,
    Answer,
    Protocol,
    RequestTemplate,
    Scenario,
    Sending,
)

# Requests that a driver copies for each connection may take this much memory in all: beyond it the
# driver, which runs on the server's machine, is a memory load of its own.
MAX_HELD = 512 * 1024 * 1024


class Closing(StrEnum):
    """After how many requests the client can end a connection."""

    NEVER = "never"
    EACH = "each"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a driver can do.

    rotation: what may differ between requests; values ({RAND}, {SEQ}) are such a difference.
    pipelined_bodies: requests with a body are pipelined too. raw: it sends exact bytes. broken: it
    goes on after requests that get no answer. copies: it holds a copy of the request for each
    connection when requests differ. head: it knows that a response to HEAD has no body, in
    HTTP/1.1. warms_up: connections are opened and used before the measured window. ran: its
    program was run with this driver, so that command and parser are known to fit.
    """

    program: str
    rotation: Rotation
    closing: Closing = Closing.NEVER
    protocols: tuple[Protocol, ...] = (Protocol.HTTP,)
    tls: bool = True
    pipelining: bool = False
    pipelined_bodies: bool = False
    open_loop: bool = False
    raw: bool = False
    broken: bool = False
    copies: bool = False
    head: bool = False
    warms_up: bool = False
    ran: bool = True
    caveats: tuple[str, ...] = ()


def judge(can: Abilities, scenario: Scenario, connections: int) -> Judgement:
    """Refused with the first reason, or accepted with all caveats."""
    refusal = _refusal(can, scenario, connections)
    if refusal:
        return Judgement(refusal=f"it {refusal}")
    return Judgement(caveats=_caveats(can, scenario))


def _refusal(can: Abilities, scenario: Scenario, connections: int) -> str:
    return (
        _refused_protocol(can, scenario)
        or _refused_pace(can, scenario)
        or _refused_requests(can, scenario)
        or _refused_memory(can, scenario, connections)
    )


def _refused_protocol(can: Abilities, scenario: Scenario) -> str:
    if scenario.protocol not in can.protocols:
        spoken = {Protocol.WS: "WebSocket", Protocol.H2: "HTTP/2"}
        return f"does not speak {spoken.get(scenario.protocol, scenario.protocol.value)}"
    if scenario.tls and not can.tls:
        return "does not speak TLS, as far as is known"
    http1 = scenario.protocol is Protocol.HTTP
    if http1 and scenario.pipeline > 1:
        if not can.pipelining:
            return f"does not pipeline, and the scenario has {scenario.pipeline} in flight"
        if not can.pipelined_bodies and any(
            template.payload_length for template in sent(scenario, can.rotation)
        ):
            return "does not pipeline requests with a body"
    return ""


def _refused_pace(can: Abilities, scenario: Scenario) -> str:
    if scenario.rate and not can.open_loop:
        return f"has no open loop, and the scenario sends {scenario.rate:g} requests/s"
    if scenario.send_rate or scenario.read_rate:
        return "cannot send or read slowly, and that is what the scenario is about"
    closes = scenario.requests_per_connection
    if closes and (can.closing is Closing.NEVER or (can.closing is Closing.EACH and closes > 1)):
        return (
            f"cannot close a connection after {closes} request{'s' if closes > 1 else ''}: "
            "the cost of new connections would be missing"
        )
    return ""


def _refused_requests(can: Abilities, scenario: Scenario) -> str:
    templates = scenario.templates
    if not can.broken:
        for template in templates:
            if template.sending is not Sending.WHOLE:
                return f"cannot send only a part of a request ({template.name})"
            if template.expect.answer is Answer.ANY:
                return f"waits forever where a request gets no answer, as {template.name} may"
    chosen = sent(scenario, can.rotation)
    if len(set(templates)) > len(set(chosen)) and not _one_kind(templates):
        return (
            "cannot rotate these requests: it would send only "
            f"{chosen[0].name} of {len(set(templates))} kinds"
        )
    for template in chosen:
        if template.raw is not None and not can.raw:
            return f"cannot send the exact bytes of a raw template ({template.name})"
        if template.method == "HEAD" and not can.head and scenario.protocol is Protocol.HTTP:
            return f"waits for a body after HEAD ({template.name})"
        if not _can_fill(can, template):
            return f"cannot fill in {{RAND}} and {{SEQ}} ({template.name})"
    return ""


def _one_kind(templates: tuple[RequestTemplate, ...]) -> bool:
    """The requests ask for the same work: same path, bodies of about the same size."""
    sizes = [template.payload_length for template in templates]
    paths = {template.target.partition("?")[0] for template in templates}
    return len(paths) == 1 and max(sizes) - min(sizes) <= INLINE_BODY


def _can_fill(can: Abilities, template: RequestTemplate) -> bool:
    if can.rotation is Rotation.EVERYTHING or not has_values(template):
        return True
    return can.rotation is Rotation.TARGET and not has_values_beside_target(template)


def _refused_memory(can: Abilities, scenario: Scenario, connections: int) -> str:
    chosen = sent(scenario, can.rotation)
    if not can.copies or (len(set(chosen)) == 1 and not has_values(chosen[0])):
        return ""
    held = max(wire_length(template) for template in chosen) * scenario.pipeline * connections
    if held <= MAX_HELD:
        return ""
    return (
        f"holds a copy of the request for each connection when it rotates: up to {held:,} bytes "
        f"at {connections} connections, more than {MAX_HELD:,}"
    )


def _caveats(can: Abilities, scenario: Scenario) -> tuple[str, ...]:
    chosen = sent(scenario, can.rotation)
    found = ["response bodies are not checked"]
    if not can.ran:
        found.append(
            f"this driver was written from documentation: {can.program} itself was not run with it"
        )
    if len(set(scenario.templates)) > len(set(chosen)):
        found.append(
            f"sends only the first template, {chosen[0].name}, of {len(scenario.templates)}"
        )
    if scenario.ramp_s:
        found.append(f"opens all connections at once, not over {scenario.ramp_s:g} s")
    if not can.warms_up:
        found.append("connections are opened inside the measured window")
    return (*found, *can.caveats)
