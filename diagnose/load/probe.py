"""One request at a time on an idle server: does it answer as the contract says?

Each template is sent whole, again on the same connection, and (the first two small ones) in pieces
30 ms apart, as the benchmark's validation does.
"""

from __future__ import annotations

import itertools
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from diagnose.load.check import wrong
from diagnose.load.http1 import FramingError, Response, ResponseParser
from diagnose.load.requests import PreparedRequest, prepare
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import RequestTemplate, Scenario

FRAGMENT_S = 0.03
FRAGMENTED = 2
SHOWN = 300


@dataclass(frozen=True, slots=True)
class _Exchange:
    response: Response | None
    problem: str
    latency_s: float
    raw: bytes


def probes(scenario: Scenario, address: str, port: int, timeout_s: float) -> Iterator[ProbeCheck]:
    """The checks of all templates, one by one; a template that does not answer ends its checks."""
    host = f"[{address}]" if ":" in address else address
    fragments_left = FRAGMENTED
    for template in scenario.templates:
        request = prepare(template, f"{host}:{port}")
        try:
            sock = socket.create_connection((address, port), timeout_s)
        except OSError as error:
            yield ProbeCheck("plain", template.name, "error", f"cannot connect: {error}")
            return
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            first = _exchange(sock, _pieces(request), 0.0, timeout_s)
            yield _judge("plain", template, request, first)
            if first.response is None:
                continue
            if request.payload is None and not first.response.head.close:
                kept = _exchange(sock, _pieces(request), 0.0, timeout_s)
                yield _judge("kept", template, request, kept)
        if request.payload is None and fragments_left:
            fragments_left -= 1
            try:
                with socket.create_connection((address, port), timeout_s) as sock:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    cut = _exchange(sock, _cut(request.head), FRAGMENT_S, timeout_s)
            except OSError as error:
                cut = _Exchange(None, f"cannot connect: {error}", 0.0, b"")
            yield _judge("fragmented", template, request, cut)


def _pieces(request: PreparedRequest) -> list[bytes]:
    if request.payload is None:
        return [request.head]
    payload = request.payload
    whole, rest = divmod(payload.length, len(payload.unit))
    return [request.head, *[payload.unit] * whole, payload.unit[:rest] + payload.tail]


def _cut(request: bytes) -> list[bytes]:
    """Inside the request line, before the empty line, and inside the body where there is one."""
    line = request.index(b"\r\n")
    head = request.index(b"\r\n\r\n") + 4
    cuts = [line // 2, line + 2, head - 2, head, (head + len(request) + 1) // 2]
    edges = sorted({0, *(cut for cut in cuts if 0 < cut < len(request)), len(request)})
    return [request[start:end] for start, end in itertools.pairwise(edges)]


def _exchange(
    sock: socket.socket, pieces: Sequence[bytes], pause_s: float, timeout_s: float
) -> _Exchange:
    """Send the pieces and read one response, reading also while sending."""
    parser = ResponseParser()
    started = time.monotonic()
    raw = b""
    sock.setblocking(False)
    waiting = [memoryview(piece) for piece in reversed(pieces) if piece]
    not_before = 0.0
    problem = ""
    while time.monotonic() - started < timeout_s:
        now = time.monotonic()
        may_send = bool(waiting) and now >= not_before
        pause = max(0.0, not_before - now) if waiting and not may_send else 0.25
        readable, writable, _ = select.select([sock], [sock] if may_send else [], [], pause)
        try:
            if writable:
                sent = sock.send(waiting[-1])
                rest = waiting.pop()[sent:]
                if rest:
                    waiting.append(rest)
                else:
                    not_before = time.monotonic() + pause_s
            if readable:
                data = sock.recv(65536)
                raw = (raw + data)[:SHOWN]
                done = parser.feed(data) if data else [parser.end()]
                if done and done[0] is not None:
                    return _Exchange(done[0], "", time.monotonic() - started, raw)
                if not data:
                    problem = "the connection was closed without an answer"
                    break
        except (OSError, FramingError) as error:
            problem = str(error)
            break
    return _Exchange(
        None,
        problem or f"no complete answer within {timeout_s:.0f} s",
        time.monotonic() - started,
        raw,
    )


def _judge(
    name: str, template: RequestTemplate, request: PreparedRequest, seen: _Exchange
) -> ProbeCheck:
    outcome, detail = "pass", ""
    if seen.response is None:
        outcome, detail = "error", seen.problem
    else:
        problem = wrong(seen.response, template.expect, body_too=True)
        if problem is not None:
            outcome, detail = "fail", problem[1]
        elif name == "plain" and seen.response.head.close:
            detail = "the server closes the connection after this response"
    return ProbeCheck(
        name=name,
        template=template.name,
        outcome=outcome,
        detail=detail,
        latency_s=seen.latency_s,
        request=_shown(request.head),
        response=_shown(seen.raw),
        closes=seen.response is not None and seen.response.head.close,
    )


def _shown(data: bytes) -> str:
    return data[:SHOWN].decode("latin-1")
