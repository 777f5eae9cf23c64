"""Request templates as the bytes that go out, made once before the load starts."""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.model.scenario import RequestTemplate

# Literal bodies, and generated ones up to this size, are sent with their head in one write; longer
# ones come from a shared file.
INLINE_BODY = 16 * 1024
CHUNK = 64 * 1024
# Long bodies repeat this many bytes: enough for large writes, small enough for the cache.
PATTERN = 1024 * 1024


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
    """`head` is the whole request when payload is None."""

    head: bytes
    payload: Payload | None


def pattern(length: int) -> bytes:
    """Body bytes that are printable, do not repeat in short periods, and are always the same."""
    return bytes(33 + (index * index + index // 94) % 94 for index in range(min(length, 4099))) * (
        -(-length // 4099)
    )


def prepare(template: RequestTemplate, authority: str) -> PreparedRequest:
    """The bytes of a template for the server at `authority` (host:port)."""
    names = {name.lower() for name, _ in template.headers}
    lines = [f"{template.method} {template.target} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {authority}")
    lines += [f"{name}: {value}" for name, value in template.headers]
    length = template.payload_length
    has_body = template.body is not None or template.body_length > 0
    if template.chunked:
        lines.append("Transfer-Encoding: chunked")
    elif (has_body or template.method in ("POST", "PUT", "PATCH")) and (
        "content-length" not in names
    ):
        lines.append(f"Content-Length: {length}")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if template.body is not None:
        return PreparedRequest(head + _coded(template.body.encode(), template.chunked), None)
    if length <= INLINE_BODY:
        return PreparedRequest(head + _coded(pattern(length)[:length], template.chunked), None)
    if not template.chunked:
        unit = pattern(PATTERN)[: min(PATTERN, length)]
        return PreparedRequest(head, Payload(unit, length, b"", length))
    frame = f"{CHUNK:x}\r\n".encode() + pattern(CHUNK)[:CHUNK] + b"\r\n"
    whole, rest = divmod(length, CHUNK)
    tail = _coded(pattern(CHUNK)[:rest], chunked=True)
    return PreparedRequest(head, Payload(frame, whole * len(frame), tail, length))


def _coded(body: bytes, chunked: bool) -> bytes:
    if not chunked:
        return body
    if not body:
        return b"0\r\n\r\n"
    return f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
