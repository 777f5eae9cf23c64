"""What a conversation reads answers with, one reader for each protocol."""

from __future__ import annotations

from typing import Protocol

from diagnose.load.http1 import MAX_HEAD, FramingError, Head, Response, ResponseParser
from diagnose.load.websocket import FrameParser
from diagnose.websocket import handshake_problem

_UPGRADED = Head(101, 0, False, False, "", "")


class Reader(Protocol):
    """Turns a stream of bytes, cut anywhere, into responses."""

    def feed(self, data: bytes) -> list[Response]:
        """The responses that these bytes complete.

        Raises: FramingError.
        """

    def end(self) -> Response | None:
        """The response that the end of the connection completes.

        Raises: FramingError when it cuts one off.
        """

    def owed(self) -> bytes:
        """What the protocol wants sent back, once."""


class Http1Reader(ResponseParser):
    """HTTP/1.x responses; nothing is owed for them."""

    __slots__ = ()

    def owed(self) -> bytes:
        """Nothing."""
        return b""


class WebSocketReader:
    """The agreement to the upgrade as a response of status 101, then one for each message."""

    def __init__(self, upgraded: bool = False) -> None:
        self._head: bytes | None = None if upgraded else b""
        self._frames = FrameParser()

    def feed(self, data: bytes) -> list[Response]:
        """Raises: FramingError, also when the upgrade is refused."""
        done: list[Response] = []
        if self._head is not None:
            head, end, data = (self._head + data).partition(b"\r\n\r\n")
            if not end:
                self._head = head
                if len(head) > MAX_HEAD:
                    raise FramingError(f"response head longer than {MAX_HEAD} bytes")
                return []
            if problem := handshake_problem(head):
                raise FramingError(problem)
            self._head = None
            done.append(Response(_UPGRADED, b"", 0))
        return done + (self._frames.feed(data) if data else [])

    def end(self) -> Response | None:
        """Raises: FramingError when a head or a message is cut off."""
        if self._head:
            raise FramingError("the connection ended inside a response")
        return self._frames.end() if self._head is None else None

    def owed(self) -> bytes:
        """Pongs, and the answer to a close."""
        answers, self._frames.answers = self._frames.answers, b""
        return answers
