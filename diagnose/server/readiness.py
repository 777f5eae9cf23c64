"""Is the server ready? One request, one look at the answer."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """What one attempt saw, `said` in words; `silent`: connected, but not answered in time."""

    ready: bool
    said: str
    silent: bool = False


def knock(host: str, port: int, request: bytes, timeout_s: float) -> Seen:
    """Send one request on a connection of its own; ready means an HTTP answer but 502, 503, 504.

    Those three say "not yet" (RFC 9110, 15.6); any other answer, an error included, is a server
    that serves.
    """
    try:
        with socket.create_connection((host, port), timeout_s) as sock:
            sock.sendall(request)
            data = b""
            while b"\r\n" not in data and len(data) < 1024:
                more = sock.recv(1024)
                if not more:
                    break
                data += more
    except ConnectionRefusedError:
        return Seen(False, "the connection was refused: nothing listens there")
    except TimeoutError:
        return Seen(False, f"connected, but no answer within {timeout_s:.1f} s", silent=True)
    except OSError as error:
        return Seen(False, f"{error.strerror or error}")
    if not data:
        return Seen(False, "the connection was closed without an answer")
    line = data.partition(b"\r\n")[0]
    words = line.split()
    if not line.startswith(b"HTTP/1.") or len(words) < 2 or not re.fullmatch(rb"\d{3}", words[1]):
        return Seen(False, f"the answer is not HTTP/1.x: {line[:60]!r}")
    status = words[1].decode()
    return Seen(status not in ("502", "503", "504"), f"status {status}")
