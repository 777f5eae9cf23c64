"""Waiting until a server answers, and why it did not."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from diagnose.errors import ServerFailed
from diagnose.load.requests import prepare
from diagnose.model.run import Launch
from diagnose.model.scenario import (
    INLINE_BODY,
    Answer,
    Protocol,
    RequestTemplate,
    Scenario,
    Sending,
)
from diagnose.plain import exit_words
from diagnose.recorder.loop import Loop
from diagnose.server import ports, readiness
from diagnose.server.launch import Server, log_tail
from diagnose.values import example


def wait_ready(
    loop: Loop,
    server: Server | None,
    scenario: Scenario,
    launch: Launch,
    log: Path,
    began: float,
    timeout_s: float,
) -> float:
    """Knock until the server answers; how long that took since `began`.

    server: None when nothing is known of its process.

    Raises: ServerFailed when it ends, or does not answer in time; Ended out of the loop.
    """
    template = _readiness_template(scenario)
    shown = f"[{launch.host}]" if ":" in launch.host else launch.host
    request = example(prepare(template, f"{shown}:{launch.port}").head)
    ready = (
        partial(readiness.knock_h2, launch.host, launch.port, scenario.tls)
        if scenario.protocol is Protocol.H2
        else partial(readiness.knock, launch.host, launch.port, request, scenario.tls)
    )
    deadline = began + timeout_s
    seen = readiness.Seen(False, "nothing yet")
    pause = 0.02
    patience = 1.0
    while (left := deadline - time.monotonic()) > 0:
        loop.pump(time.monotonic() + pause)
        pause = min(0.2, pause * 1.5)
        if server is not None and server.ended:
            raise ServerFailed(_death_notice(server, launch, log))
        with loop.interruptible():
            seen = ready(min(patience, left))
        # A handler may be slow and honest: wait longer for it each time.
        patience = patience * 2 if seen.silent else patience
        if seen.ready:
            return time.monotonic() - began
    asked = f"{template.method} {template.target} on {launch.host}:{launch.port}: {seen.said}"
    raise ServerFailed(
        f"the server was not ready after {timeout_s:.0f} s: {asked}; {_hint(server, launch)}"
        + ("" if launch.attached else quoted_log(log))
    )


def quoted_log(log: Path) -> str:
    """The last lines of the server's output, to stand below a message."""
    lines = log_tail(log)
    if not lines:
        return "\nIt wrote no output."
    return "\nIts last lines:\n" + "\n".join(f"  | {line}" for line in lines)


def _death_notice(server: Server, launch: Launch, log: Path) -> str:
    if server.status is None:
        return "the process to attach to is gone"
    return (
        f"the server ended {exit_words(server.status)} before it was ready "
        f"({' '.join(launch.command)})"
        + quoted_log(log)
        + "\nRun the command by hand to see whether it starts; it gets PORT in its environment."
    )


def _hint(server: Server | None, launch: Launch) -> str:
    """What may mend a server that does not answer."""
    if launch.attached or server is None:
        return "is this its address, and does it answer there? (`curl -v`)"
    others = [
        (address, port)
        for address, port in ports.listeners(server.sample_root, server.include_root)
        if port != launch.port or address not in ("0.0.0.0", "::", launch.host)
    ]
    if not others:
        return "raise --ready-timeout if it only needs longer"
    hint = f"it listens on {', '.join(f'{address}:{port}' for address, port in others)}: "
    if all(port == launch.port for _, port in others):
        return hint + f"pass --host {others[0][0]}"
    return hint + f"pass --port {others[0][1]}, or let the command take $PORT"


def _readiness_template(scenario: Scenario) -> RequestTemplate:
    """A request that a server answers when it is ready: small, whole, and expected."""
    for template in scenario.templates:
        if template.expect.answer is Answer.ANY or template.sending is not Sending.WHOLE:
            continue
        if scenario.protocol is Protocol.WS:
            return RequestTemplate("ready", "GET", template.target)
        if template.payload_length > INLINE_BODY:
            return RequestTemplate("ready", template.method, template.target, body="diagnose")
        return template
    return RequestTemplate("ready", "GET", "/")
