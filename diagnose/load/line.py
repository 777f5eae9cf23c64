"""A connection that never blocks, with TLS or without."""

from __future__ import annotations

import select
import socket
import ssl
import time

READ_BYTES = 65536


class Line:
    """A connection that never blocks, with TLS where there is a context.

    Raises: OSError, TimeoutError among them, when there is none within the timeout.
    """

    def __init__(
        self, address: str, port: int, timeout_s: float, context: ssl.SSLContext | None = None
    ) -> None:
        deadline = time.monotonic() + timeout_s
        self.sock = socket.create_connection((address, port), timeout_s)
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock.setblocking(False)
            if context is not None:
                secure = context.wrap_socket(self.sock, do_handshake_on_connect=False)
                self.sock = secure
                _shake_hands(secure, deadline)
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    @property
    def protocol(self) -> str | None:
        """What was agreed on by ALPN."""
        return self.sock.selected_alpn_protocol() if isinstance(self.sock, ssl.SSLSocket) else None

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
            return self.sock.recv(READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    def finish(self) -> None:
        """Nothing more will be sent; answers can still be read. TLS has no way to say so."""
        if not isinstance(self.sock, ssl.SSLSocket):
            self.sock.shutdown(socket.SHUT_WR)


def _shake_hands(sock: ssl.SSLSocket, deadline: float) -> None:
    while (left := deadline - time.monotonic()) > 0:
        try:
            return sock.do_handshake()
        except ssl.SSLWantReadError:
            select.select([sock], [], [], left)
        except ssl.SSLWantWriteError:
            select.select([], [sock], [], left)
    raise TimeoutError("the TLS handshake was not over in time")
