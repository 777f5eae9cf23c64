"""One request at a time on an idle server: does it answer as the contract says?

Each template is sent whole, again on the same connection, and (the first two small ones) in pieces
30 ms apart, as the benchmark's validation does.
"""

from __future__ import annotations

import itertools
import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from diagnose.load.check import wrong
from diagnose.load.http1 import FramingError, Response, ResponseParser
from diagnose.load.requests import PreparedRequest, prepare_for, shown
from diagnose.load.websocket import FrameParser, handshake_problem
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import Answer, Protocol, RequestTemplate, Scenario
from diagnose.tls import client_context
from diagnose.values import example

FRAGMENT_S = 0.03
FRAGMENTED = 2
SHOWN = 300
# Long enough to see a refusal; silence is right too.
ANY_ANSWER_S = 0.5


@dataclass(frozen=True, slots=True)
class _Exchange:
    response: Response | None
    problem: str
    latency_s: float
    raw: bytes


class _Line:
    """A connection that never blocks, with TLS or without."""

    def __init__(self, scenario: Scenario, address: str, port: int, timeout_s: float) -> None:
        plain = socket.create_connection((address, port), timeout_s)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = client_context().wrap_socket(plain) if scenario.tls else plain
        except BaseException:
            plain.close()
            raise
        self.sock.setblocking(False)

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def wait(self, seconds: float, *, writing: bool) -> tuple[bool, bool]:
        """Whether something can be read, and written."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return True, False
        readable, writable, _ = select.select(
            [self.sock], [self.sock] if writing else [], [], seconds
        )
        return bool(readable), bool(writable)

    def send(self, data: bytes | memoryview) -> int:
        """Bytes that were taken, 0 when none can be now."""
        try:
            return self.sock.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def receive(self) -> bytes | None:
        """What has arrived, None when nothing did, b'' at the end."""
        try:
            return self.sock.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None


def probes(scenario: Scenario, address: str, port: int, timeout_s: float) -> Iterator[ProbeCheck]:
    """The checks of all templates, one by one; a template that does not answer ends its checks.

    Nothing is asked over HTTP/2. A template that may get any answer is sent once, and what came
    is told.
    """
    if scenario.protocol is Protocol.H2:
        return
    host = f"[{address}]" if ":" in address else address
    fragments_left = FRAGMENTED
    for template in dict.fromkeys(scenario.templates):
        request = prepare_for(scenario, template, f"{host}:{port}")
        tolerant = template.expect.answer is Answer.ANY
        patience = min(timeout_s, ANY_ANSWER_S) if tolerant else timeout_s
        try:
            with _Line(scenario, address, port, timeout_s) as line:
                first = _exchange(line, request, _pieces(request), 0.0, patience)
                yield _judge("plain", template, request, first)
                if first.response is None or tolerant:
                    continue
                if request.payload is None and not first.response.head.close:
                    again = replace(request, opening=b"")
                    kept = _exchange(line, again, _pieces(request), 0.0, timeout_s)
                    yield _judge("kept", template, request, kept)
        except OSError as error:
            yield ProbeCheck("plain", template.name, "error", f"cannot connect: {error}")
            return
        if request.payload is None and fragments_left and not request.opening:
            fragments_left -= 1
            try:
                with _Line(scenario, address, port, timeout_s) as line:
                    pieces = _cut(example(request.head))
                    cut = _exchange(line, request, pieces, FRAGMENT_S, timeout_s)
            except OSError as error:
                cut = _Exchange(None, f"cannot connect: {error}", 0.0, b"")
            yield _judge("fragmented", template, request, cut)


def _pieces(request: PreparedRequest) -> list[bytes]:
    if request.payload is None:
        return [example(request.head) if request.varies else request.head]
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
    line: _Line,
    request: PreparedRequest,
    pieces: Sequence[bytes],
    pause_s: float,
    timeout_s: float,
) -> _Exchange:
    """Send the pieces and read one response, reading also while sending."""
    started = time.monotonic()
    raw = b""
    waiting = [memoryview(piece) for piece in reversed(pieces) if piece]
    parser: ResponseParser | FrameParser = FrameParser() if request.answer else ResponseParser()
    upgrade: bytes | None = None
    if request.opening:
        upgrade, later, waiting = b"", waiting, [memoryview(request.opening)]
    not_before = 0.0
    problem = ""
    while time.monotonic() - started < timeout_s:
        now = time.monotonic()
        may_send = bool(waiting) and now >= not_before
        pause = max(0.0, not_before - now) if waiting and not may_send else 0.25
        try:
            readable, writable = line.wait(min(pause, timeout_s), writing=may_send)
            if writable:
                sent = line.send(waiting[-1])
                rest = waiting.pop()[sent:]
                if rest:
                    waiting.append(rest)
                else:
                    not_before = time.monotonic() + pause_s
            data = line.receive() if readable else None
            if data is None:
                continue
            raw = (raw + data)[:SHOWN]
            if upgrade is not None and data:
                upgrade += data
                head, end, data = upgrade.partition(b"\r\n\r\n")
                if not end:
                    continue
                if problem := handshake_problem(head):
                    break
                upgrade, waiting = None, later
                if not data:
                    continue
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
        problem or f"no complete answer within {timeout_s:g} s",
        time.monotonic() - started,
        raw,
    )


def _judge(
    name: str, template: RequestTemplate, request: PreparedRequest, seen: _Exchange
) -> ProbeCheck:
    outcome, detail = "pass", ""
    if template.expect.answer is Answer.ANY:
        status = f"status {seen.response.head.status}" if seen.response else seen.problem
        detail = f"any answer is right; seen: {status}"
    elif seen.response is None:
        outcome, detail = "error", seen.problem
    else:
        problem = wrong(seen.response, template.expect, True, request.expected)
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
        request=_shown(shown(request)),
        response=_shown(seen.raw),
        closes=template.expect.answer is Answer.REQUIRED
        and seen.response is not None
        and seen.response.head.close,
    )


def _shown(data: bytes) -> str:
    return data[:SHOWN].decode("latin-1")
