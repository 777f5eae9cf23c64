"""`/ws`: a WebSocket that sends each message back."""

from __future__ import annotations

from functools import partial

from diagnose.load.conversation import Piece
from diagnose.load.readers import WebSocketReader
from diagnose.load.validation.baseline import PIPELINED
from diagnose.load.validation.check import Asked, Asking, Check, Plan
from diagnose.load.validation.judging import as_wanted
from diagnose.load.websocket import masked_fragments, masked_text
from diagnose.model.scenario import Expectation
from diagnose.websocket import handshake_request

GROUP = "echo-ws"
PATH = "/ws"
_UPGRADED = Expectation(status=(101,))


def _opened(asking: Asking, messages: tuple[bytes, ...], frames: bytes, expected: str) -> Plan:
    pieces = [Piece(handshake_request(PATH, asking.authority))]
    if frames:
        pieces.append(Piece(frames, after=1))
    wants = (_UPGRADED, *(Expectation(body=message.decode()) for message in messages))
    expected = f"status 101 with the right Sec-WebSocket-Accept{expected}"
    return Plan((Asked(tuple(pieces), wants, as_wanted, expected, WebSocketReader),))


def _handshake(asking: Asking) -> Plan:
    return _opened(asking, (), b"", "")


def _echo(asking: Asking, count: int) -> Plan:
    messages = tuple(f"message {asking.number()}".encode() for _ in range(count))
    frames = b"".join(masked_text(message) for message in messages)
    expected = f", then the message{'s' * (count > 1)} as sent: {b', '.join(messages).decode()}"
    return _opened(asking, messages, frames, expected)


def _fragmented(asking: Asking) -> Plan:
    parts = [f"part {asking.number()} ".encode() for _ in range(2)] + [b"end"]
    frames = b"".join(masked_fragments(parts))
    message = b"".join(parts)
    return _opened(asking, (message,), frames, f", then one message {message.decode()!r}")


CHECKS = (
    Check(GROUP, "handshake", PATH, _handshake),
    Check(GROUP, "a message comes back", PATH, partial(_echo, count=1)),
    Check(GROUP, "a message in three fragments", PATH, _fragmented),
    Check(GROUP, f"{PIPELINED} messages at once, in order", PATH, partial(_echo, count=PIPELINED)),
)
