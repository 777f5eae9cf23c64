"""Is the server ready? One request, one look at the answer."""

from __future__ import annotations

import re
import socket
import ssl
import time
from dataclasses import dataclass

from diagnose.tls import client_context

# Source: RFC 9113, 3.4 (connection preface), 4.1 (frame head), 6.5 (SETTINGS).
H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EMPTY_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS = 4
_TLS_SAID = {
    "WRONG_VERSION_NUMBER": "it answers without TLS: is this the port of its TLS?",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": "TLS, but without HTTP/2 (ALPN has no h2)",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the TLS handshake was refused",
}
FRAME_HEAD = 9


@dataclass(frozen=True, slots=True)
class Seen:
    """What one attempt saw, `said` in words; `silent`: connected, but not answered in time."""

    ready: bool
    said: str
    silent: bool = False


def knock(host: str, port: int, request: bytes, tls: bool, timeout_s: float) -> Seen:
    """Send one request on a connection of its own; ready means an HTTP answer but 502, 503, 504.

    Those three say "not yet" (RFC 9110, 15.6); any other answer, an error included, is a server
    that serves.
    """
    deadline = time.monotonic() + timeout_s
    try:
        with _connected(host, port, client_context() if tls else None, timeout_s) as sock:
            sock.sendall(request)
            data = b""
            while b"\r\n" not in data and len(data) < 1024:
                # The time is for the whole line: a trickle is not an answer.
                sock.settimeout(max(0.001, deadline - time.monotonic()))
                more = sock.recv(1024)
                if not more:
                    break
                data += more
    except OSError as error:
        return _not_yet(error, timeout_s)
    if not data:
        return Seen(False, "the connection was closed without an answer")
    line = data.partition(b"\r\n")[0]
    words = line.split()
    if not line.startswith(b"HTTP/1.") or len(words) < 2 or not re.fullmatch(rb"\d{3}", words[1]):
        return Seen(False, f"the answer is not HTTP/1.x: {line[:60]!r}")
    status = words[1].decode()
    return Seen(status not in ("502", "503", "504"), f"status {status}")


def knock_h2(host: str, port: int, tls: bool, timeout_s: float) -> Seen:
    """Open an HTTP/2 connection; ready means that the server sends its SETTINGS.

    Source: RFC 9113, 3.4: the first frame of either side is SETTINGS.
    """
    context = client_context(("h2",)) if tls else None
    deadline = time.monotonic() + timeout_s
    try:
        with _connected(host, port, context, timeout_s) as sock:
            if isinstance(sock, ssl.SSLSocket) and sock.selected_alpn_protocol() != "h2":
                return Seen(False, "TLS without HTTP/2: the server did not choose h2 by ALPN")
            sock.sendall(H2_PREFACE + EMPTY_SETTINGS)
            data = b""
            while len(data) < FRAME_HEAD:
                sock.settimeout(max(0.001, deadline - time.monotonic()))
                more = sock.recv(1024)
                if not more:
                    break
                data += more
    except OSError as error:
        return _not_yet(error, timeout_s)
    if len(data) >= FRAME_HEAD and data[3] == SETTINGS:
        return Seen(True, "HTTP/2")
    return Seen(False, f"the answer is not HTTP/2: {data[:60]!r}")


def listens(host: str, port: int, timeout_s: float) -> bool:
    """Whether a connection is accepted there."""
    try:
        socket.create_connection((host, port), timeout_s).close()
    except OSError:
        return False
    return True


def _connected(
    host: str, port: int, context: ssl.SSLContext | None, timeout_s: float
) -> socket.socket:
    sock = socket.create_connection((host, port), timeout_s)
    if context is None:
        return sock
    try:
        return context.wrap_socket(sock)
    except BaseException:
        sock.close()
        raise


def _not_yet(error: OSError, timeout_s: float) -> Seen:
    if isinstance(error, ConnectionRefusedError):
        return Seen(False, "the connection was refused: nothing listens there")
    if isinstance(error, TimeoutError):
        return Seen(False, f"connected, but no answer within {timeout_s:.1f} s", silent=True)
    if isinstance(error, ssl.SSLError):
        return Seen(False, _TLS_SAID.get(error.reason, f"no TLS: {error.reason or error}"))
    return Seen(False, f"{error.strerror or error}")
