"""One request at a time on an idle server: does it answer as the contract says?

Each template is sent whole, again on the same connection, and (the first two small ones) in pieces
30 ms apart, as the benchmark's validation does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from diagnose.load.check import wrong
from diagnose.load.coded import coding_of
from diagnose.load.conversation import Piece, Seen, converse
from diagnose.load.http1 import Response
from diagnose.load.line import Line
from diagnose.load.readers import Http1Reader, WebSocketReader
from diagnose.load.requests import PreparedRequest, prepare_for, shown
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import Answer, Protocol, RequestTemplate, Scenario
from diagnose.model.validation import Excerpt
from diagnose.tls import client_context
from diagnose.values import example

FRAGMENT_S = 0.03
FRAGMENTED = 2
SHOWN = 300
# Long enough to see a refusal; silence is right too.
ANY_ANSWER_S = 0.5


def probes(scenario: Scenario, address: str, port: int, timeout_s: float) -> Iterator[ProbeCheck]:
    """The checks of all templates, one by one; a template that does not answer ends its checks.

    Nothing is asked over HTTP/2. A template that may get any answer is sent once, and what came
    is told.
    """
    if scenario.protocol is Protocol.H2:
        return
    host = f"[{address}]" if ":" in address else address
    context = client_context() if scenario.tls else None
    fragments_left = FRAGMENTED
    for template in dict.fromkeys(scenario.templates):
        request = prepare_for(scenario, template, f"{host}:{port}")
        tolerant = template.expect.answer is Answer.ANY
        patience = min(timeout_s, ANY_ANSWER_S) if tolerant else timeout_s
        try:
            with Line(address, port, timeout_s, context) as line:
                first = _exchange(line, request, pieces_of(request), 0.0, patience)
                yield _judge("plain", template, request, first)
                answer = _answer(first)
                if answer is None or tolerant:
                    continue
                if request.payload is None and not answer.head.close:
                    again = replace(request, opening=b"")
                    kept = _exchange(line, again, pieces_of(request), 0.0, timeout_s)
                    yield _judge("kept", template, request, kept)
        except OSError as error:
            yield ProbeCheck("plain", template.name, "error", f"cannot connect: {error}")
            return
        if request.payload is None and fragments_left and not request.opening:
            fragments_left -= 1
            try:
                with Line(address, port, timeout_s, context) as line:
                    pieces = cut(example(request.head))
                    seen = _exchange(line, request, pieces, FRAGMENT_S, timeout_s)
            except OSError as error:
                seen = Seen((), f"cannot connect: {error}", 0.0, 0, 0, Excerpt(b"", b"", 0))
            yield _judge("fragmented", template, request, seen)


def pieces_of(request: PreparedRequest) -> list[bytes]:
    """The whole request with the smallest values, cut where its payload repeats."""
    if request.payload is None:
        return [example(request.head) if request.varies else request.head]
    payload = request.payload
    whole, rest = divmod(payload.length, len(payload.unit))
    return [request.head, *[payload.unit] * whole, payload.unit[:rest] + payload.tail]


def cut(request: bytes) -> list[bytes]:
    """Inside the request line, before the empty line, and inside the body where there is one."""
    line = request.index(b"\r\n")
    head = request.index(b"\r\n\r\n") + 4
    cuts = [line // 2, line + 2, head - 2, head, (head + len(request) + 1) // 2]
    edges = sorted({0, *(cut for cut in cuts if 0 < cut < len(request)), len(request)})
    return [request[start:end] for start, end in itertools.pairwise(edges)]


def _exchange(
    line: Line,
    request: PreparedRequest,
    pieces: Sequence[bytes],
    pause_s: float,
    timeout_s: float,
) -> Seen:
    """The opening where there is one, then the pieces; one answer is waited for."""
    opening = [Piece(request.opening)] if request.opening else []
    sent = [Piece(piece, pause_s * bool(number)) for number, piece in enumerate(pieces) if piece]
    if opening:
        sent = [replace(piece, after=1) for piece in sent]
    reader = WebSocketReader(upgraded=not opening) if request.answer else Http1Reader()
    return converse(line, [*opening, *sent], reader, len(opening) + 1, timeout_s)


def _answer(seen: Seen) -> Response | None:
    return None if seen.problem else seen.responses[-1]


def _judge(
    name: str, template: RequestTemplate, request: PreparedRequest, seen: Seen
) -> ProbeCheck:
    outcome, detail = "pass", ""
    answer = _answer(seen)
    if template.expect.answer is Answer.ANY:
        status = f"status {answer.head.status}" if answer else seen.problem
        detail = f"any answer is right; seen: {status}"
    elif answer is None:
        outcome, detail = "error", seen.problem
    else:
        problem = wrong(answer, template.expect, True, request.expected)
        if problem is not None:
            outcome, detail = "fail", problem[1]
        elif name == "plain" and answer.head.close:
            detail = "the server closes the connection after this response"
    return ProbeCheck(
        name=name,
        template=template.name,
        outcome=outcome,
        detail=detail,
        latency_s=seen.elapsed_s,
        request=_shown(shown(request)),
        response=_shown(seen.received.start),
        closes=template.expect.answer is Answer.REQUIRED
        and answer is not None
        and answer.head.close,
        coding=coding_of(answer) if answer is not None and name == "plain" else None,
    )


def _shown(data: bytes) -> str:
    return data[:SHOWN].decode("latin-1")
