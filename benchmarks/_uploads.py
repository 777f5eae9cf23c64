"""Uploads that are all in flight at once, held there while memory is read."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks._apps import HOST

UPLOAD_BYTES = 20 * 1024 * 1024
DEADLINE = 60.0
# For the server to read what is still in socket buffers when the last byte was sent.
SETTLE_SECONDS = 0.3
# A server that has taken nothing for so long waits for the end of another body first: that is how
# those behave which serve a few connections at a time.
STALL_SECONDS = 1.5
BLOCK = memoryview(bytes(256 * 1024))


@dataclass(slots=True)
class Upload:
    """One connection, how much of the body it sent, and what came back."""

    connection: socket.socket
    sent: int = 0
    reply: bytes = b""


def upload(port: int, connections: int, when_in_flight: Callable[[], None]) -> str:
    """Sends every body but its last byte, calls back, sends the rest; what was wrong, if anything.

    Holding the last byte back makes the number of bytes in flight exact when memory is read, unless
    the server does not take all bodies at once.

    Raises: OSError when a connection breaks.
    """
    head = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % UPLOAD_BYTES
    uploads = []
    try:
        for _ in range(connections):
            connection = socket.create_connection((HOST, port), timeout=30)
            uploads.append(Upload(connection))
            connection.sendall(head)
            connection.setblocking(False)
        deadline = time.monotonic() + DEADLINE
        _send(uploads, UPLOAD_BYTES - 1, deadline, STALL_SECONDS)
        time.sleep(SETTLE_SECONDS)
        when_in_flight()
        _send(uploads, UPLOAD_BYTES, deadline, DEADLINE)
        return _read(uploads, deadline)
    finally:
        for each in uploads:
            each.connection.close()


def _send(uploads: list[Upload], end: int, deadline: float, patience: float) -> None:
    """Sends all bodies up to `end`, until the deadline or until nothing goes out any more."""
    with selectors.DefaultSelector() as selector:
        for each in uploads:
            if each.sent < end:
                selector.register(each.connection, selectors.EVENT_WRITE, each)
        while selector.get_map() and time.monotonic() < deadline:
            ready = selector.select(patience)
            if not ready:
                return
            for key, _ in ready:
                one: Upload = key.data
                one.sent += one.connection.send(BLOCK[: end - one.sent])
                if one.sent == end:
                    selector.unregister(one.connection)


def _read(uploads: list[Upload], deadline: float) -> str:
    """Reads the answers; what was wrong with the first wrong one."""
    for each in uploads:
        if each.sent < UPLOAD_BYTES:
            return f"{each.sent} bytes of a body were taken in {DEADLINE:g} s"
        each.connection.setblocking(True)
        while not each.reply.endswith(b"%d" % UPLOAD_BYTES):
            each.connection.settimeout(max(0.1, deadline - time.monotonic()))
            received = each.connection.recv(4096)
            if not received:
                return f"the answer was {each.reply[-60:]!r}"
            each.reply += received
    return ""
