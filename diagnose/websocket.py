"""WebSocket's opening handshake and its frames, as bytes.

Source: RFC 6455, sections 4.1 (opening handshake), 5.2 (base framing), 5.3 (masking).
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Sequence

# "Not expected to be secret": it only shows that the server speaks the protocol.
KEY = base64.b64encode(b"diagnose-websock").decode()
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ACCEPT = base64.b64encode(hashlib.sha1((KEY + _GUID).encode()).digest()).decode()
MASK = b"\x9d\x41\xe6\x2b"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def handshake_request(
    target: str, authority: str, headers: Sequence[tuple[str, str]] = ()
) -> bytes:
    """The request that asks for the upgrade."""
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {authority}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def handshake_problem(head: bytes) -> str:
    """Why the answer to the upgrade (without its empty line) is not one; '' when it is right."""
    lines = head.split(b"\r\n")
    if not lines[0].startswith(b"HTTP/1.1 101"):
        return f"upgrade refused: {lines[0][:60].decode('latin-1')}"
    fields = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in lines[1:])
    }
    if fields.get(b"sec-websocket-accept", b"").decode("latin-1") != ACCEPT:
        return "upgrade without the right Sec-WebSocket-Accept"
    if b"sec-websocket-extensions" in fields:
        return "upgrade with an extension that was not offered"
    return ""


def masked(opcode: int, message: bytes, *, final: bool = True) -> bytes:
    """A client's frame. Source: RFC 6455, 5.3: byte i is combined with byte i mod 4 of the key."""
    coded = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(message))
    return bytes([0x80 * final | opcode]) + length(len(message), 0x80) + MASK + coded


def length(count: int, flag: int) -> bytes:
    """The length field of a frame; flag: 0x80 where a mask follows."""
    if count < 126:
        return bytes([flag | count])
    if count < 1 << 16:
        return bytes([flag | 126]) + struct.pack(">H", count)
    return bytes([flag | 127]) + struct.pack(">Q", count)


def server_frame(
    data: bytes, position: int, most_bytes: int
) -> tuple[int, bool, bytes, int] | None:
    """Opcode, whether final, payload and the position behind a frame; None when it is not whole.

    Raises: ValueError when it is no frame of a server, or longer than `most_bytes`.
    """
    if len(data) - position < 2:
        return None
    first, second = data[position], data[position + 1]
    if first & 0x70:
        raise ValueError("WebSocket frame with reserved bits")
    if second & 0x80:
        raise ValueError("WebSocket frame from a server is masked")
    count = second & 0x7F
    start = position + 2
    if count >= 126:
        size = 2 if count == 126 else 8
        if len(data) - start < size:
            return None
        count = int.from_bytes(data[start : start + size], "big")
        start += size
    if count > most_bytes:
        raise ValueError(f"WebSocket frame longer than {most_bytes} bytes")
    if len(data) - start < count:
        return None
    return first & 0x0F, bool(first & 0x80), data[start : start + count], start + count
