"""Request templates as the bytes that go out, made once before the load starts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from diagnose.load.websocket import masked_text, text_frame
from diagnose.model.scenario import INLINE_BODY, Protocol, RequestTemplate, Scenario, Sending
from diagnose.values import drawn, example, has_values
from diagnose.websocket import handshake_request

CHUNK = 64 * 1024
# Long bodies repeat this many bytes: enough for large writes, small enough for the cache.
PATTERN = 1024 * 1024
_NUMBER = re.compile(rb"-?\d{1,100}")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r\n")
_INTEGER = re.compile(rb"=(-?\d{1,100})(?=[& #]|\Z)")


@dataclass(frozen=True, slots=True)
class Payload:
    """A body on the wire: `unit` repeated and cut to `length` bytes, then `tail`.

    body_length: bytes of the body without transfer coding.
    """

    unit: bytes
    length: int
    tail: bytes
    body_length: int

    @property
    def wire_length(self) -> int:
        """Bytes on the wire after the head."""
        return self.length + len(self.tail)


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A template's bytes for one server.

    head: the whole request when payload is None. opening: sent once on a connection before
    requests may be (a WebSocket upgrade). expected: the exact body that must come back, None when
    the template does not say; answer: the exact bytes of a right response where there is but one
    form of it. varies: there are values in it, to be drawn for each connection.
    """

    head: bytes
    payload: Payload | None = None
    opening: bytes = b""
    expected: bytes | None = None
    answer: bytes = b""
    varies: bool = False

    def drawn(self, template: RequestTemplate, number: int) -> tuple[bytes, bytes | None]:
        """Head and expected body with values drawn for connection `number`."""
        head = drawn(self.head, number)
        if template.expect.sum:
            return head, _sum(head)
        return head, self.expected


def prepare(template: RequestTemplate, authority: str) -> PreparedRequest:
    """The bytes of an HTTP/1.1 template for the server at `authority` (host:port).

    Values stand in it as they were written; `shown` fills them in.
    """
    expect = template.expect
    expected = expect.body.encode().strip() if expect.body is not None else None
    if template.raw is not None:
        varies = has_values(template.raw)
        if expect.sum:
            expected = _sum(example(template.raw))
        return PreparedRequest(template.raw, expected=expected, varies=varies)
    names = {name.lower() for name, _ in template.headers}
    lines = [f"{template.method} {template.target} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {authority}")
    lines += [f"{name}: {value}" for name, value in template.headers]
    body = None if template.body is None else template.body.encode()
    length = template.body_length if body is None else len(example(body))
    has_body = body is not None or length > 0
    if template.chunked:
        lines.append("Transfer-Encoding: chunked")
    elif (has_body or template.method in ("POST", "PUT", "PATCH")) and (
        "content-length" not in names
    ):
        lines.append(f"Content-Length: {length}")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    whole, payload = _with_body(head, body, length, template)
    varies = has_values(whole)
    if expect.sum:
        expected = _sum(example(whole))
    return PreparedRequest(whole, payload, expected=expected, varies=varies)


def prepare_for(scenario: Scenario, template: RequestTemplate, authority: str) -> PreparedRequest:
    """The bytes of a template as its scenario's protocol sends them."""
    if scenario.protocol is not Protocol.WS:
        return prepare(template, authority)
    message = (template.body or "").encode()
    return PreparedRequest(
        masked_text(message),
        opening=handshake_request(template.target, authority, template.headers),
        expected=message,
        answer=text_frame(message),
    )


def shown(request: PreparedRequest) -> bytes:
    """What is sent before a payload, with values filled in."""
    return (
        (request.opening + example(request.head))
        if request.varies
        else (request.opening + request.head)
    )


def pattern(length: int) -> bytes:
    """Body bytes that are printable, do not repeat in short periods, and are always the same."""
    return bytes(33 + (index * index + index // 94) % 94 for index in range(min(length, 4099))) * (
        -(-length // 4099)
    )


def _with_body(
    head: bytes, body: bytes | None, length: int, template: RequestTemplate
) -> tuple[bytes, Payload | None]:
    """Head and small body in one, and the payload of a large one; cut as the template says."""
    if template.sending is Sending.HEAD:
        return head, None
    half = template.sending is Sending.HALF
    if body is None and length <= INLINE_BODY:
        body = pattern(length)[:length]
    if body is not None:
        coded = _coded(body, template.chunked, len(example(body)))
        return head + (coded[: len(coded) // 2] if half else coded), None
    if not template.chunked:
        sent = length // 2 if half else length
        return head, Payload(pattern(PATTERN)[: min(PATTERN, sent)], sent, b"", length)
    frame = f"{CHUNK:x}\r\n".encode() + pattern(CHUNK)[:CHUNK] + b"\r\n"
    whole, rest = divmod(length, CHUNK)
    if half and not whole:
        coded = _coded(pattern(length)[:length], chunked=True, length=length)
        return head + coded[: len(coded) // 2], None
    if half:
        return head, Payload(frame, max(1, whole // 2) * len(frame), b"", length)
    tail = _coded(pattern(CHUNK)[:rest], chunked=True, length=rest)
    return head, Payload(frame, whole * len(frame), tail, length)


def _coded(body: bytes, chunked: bool, length: int) -> bytes:
    """The body in its transfer coding. length: of the body once its values are filled in."""
    if not chunked:
        return body
    if not body:
        return b"0\r\n\r\n"
    return f"{length:x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


def _sum(request: bytes) -> bytes:
    """The sum of the integers in the query, and of an integer body, of a whole small request."""
    line, _, _ = request.partition(b"\r\n")
    head, _, body = request.partition(b"\r\n\r\n")
    query = line.rpartition(b" ")[0].partition(b"?")[2]
    total = sum(int(match[1]) for match in _INTEGER.finditer(query))
    if b"\r\ntransfer-encoding:" in head.lower():
        body = _dechunked(body)
    if match := _NUMBER.fullmatch(body.strip()):
        total += int(match[0])
    return str(total).encode()


def _dechunked(body: bytes) -> bytes:
    """The data of a chunked body, as far as it is one."""
    data, position = b"", 0
    while (match := _CHUNK_LINE.match(body, position)) and int(match[1], 16):
        end = match.end() + int(match[1], 16)
        data += body[match.end() : end]
        position = end + 2
    return data
