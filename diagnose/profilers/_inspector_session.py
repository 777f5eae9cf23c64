"""A session with the inspector of a node process.

Source: Chrome DevTools Protocol: a command has an id, and its answer the same; events have none.
"""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass

import msgspec

from diagnose import websocket
from diagnose.profilers._told import Refused

ANSWER_PATIENCE_S = 10.0
# A profile of a minute of a deep program has some 10 MB.
MOST_BYTES = 256 * 1024 * 1024


class _Message(msgspec.Struct):
    id: int = 0
    result: msgspec.Raw = msgspec.Raw(b"{}")
    error: msgspec.Raw = msgspec.Raw(b"")
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"{}")


@dataclass(frozen=True, slots=True)
class Event:
    """What the inspector told without being asked."""

    method: str
    parameters: msgspec.Raw


class Session:
    """A connection to an inspector, asked and answered in turn."""

    def __init__(self, port: int, target: str) -> None:
        authority = f"127.0.0.1:{port}"
        self._socket = socket.create_connection(("127.0.0.1", port), ANSWER_PATIENCE_S)
        self._data = b""
        self._number = 0
        self._events: list[Event] = []
        self._socket.sendall(websocket.handshake_request(target, authority))
        while b"\r\n\r\n" not in self._data:
            self._receive()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        if problem := websocket.handshake_problem(head):
            raise Refused(f"the inspector on port {port} refused a session: {problem}")

    def ask(self, method: str, **parameters: object) -> msgspec.Raw:
        """The result of a command.

        Raises: Refused when the inspector answers with an error, or ends the session.
        """
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters}
        self._socket.sendall(websocket.masked(websocket.TEXT, msgspec.json.encode(request)))
        while True:
            answer = self._message()
            if answer.id != self._number:
                continue
            if bytes(answer.error):
                raise Refused(f"the inspector refused {method}: {bytes(answer.error).decode()}")
            return answer.result

    def listen(self, until: float) -> None:
        """Take in what the inspector tells until then."""
        while (left := until - time.monotonic()) > 0:
            if websocket.server_frame(self._data, 0, MOST_BYTES) is not None:
                self._message()
            elif select.select([self._socket], [], [], left)[0]:
                self._receive()

    def events(self) -> list[Event]:
        """What was told since they were last asked for."""
        told, self._events = self._events, []
        return told

    def _message(self) -> _Message:
        message = msgspec.json.decode(self._text(), type=_Message)
        if message.method:
            self._events.append(Event(message.method, message.params))
        return message

    def _text(self) -> bytes:
        parts: list[bytes] = []
        while True:
            while (frame := websocket.server_frame(self._data, 0, MOST_BYTES)) is None:
                self._receive()
            opcode, final, payload, end = frame
            self._data = self._data[end:]
            if opcode == websocket.CLOSE:
                raise Refused(
                    "the inspector ended the session: another debugger may have closed it"
                )
            if opcode < websocket.CLOSE:
                parts.append(payload)
                if final:
                    return b"".join(parts)

    def _receive(self) -> None:
        pieces = [self._data]
        piece = self._socket.recv(1 << 20)
        if not piece:
            raise Refused("the inspector ended the session: the process may be gone")
        pieces.append(piece)
        # A long profile comes in thousands of pieces: take what is there at once.
        while len(piece) == 1 << 20 and select.select([self._socket], [], [], 0)[0]:
            piece = self._socket.recv(1 << 20)
            pieces.append(piece)
        self._data = b"".join(pieces)

    def close(self) -> None:
        """The inspector ends what this session had begun."""
        self._socket.close()
