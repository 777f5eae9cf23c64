"""An engine over socket pairs: its connections stand from the start, the test is the server."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from diagnose.load.connection import Connection
from diagnose.load.engine import Engine
from diagnose.load.requests import INLINE_BODY, prepare
from diagnose.model.load import LoadPlan, LoadTick
from diagnose.model.scenario import Answer, Expectation, RequestTemplate, Scenario

AUTHORITY = "127.0.0.1:8080"
GET = RequestTemplate("get", "GET", "/", expect=Expectation(body="ok"))
# The smallest body that does not go out with its head.
UPLOAD = RequestTemplate(
    "upload", "POST", "/", body_length=INLINE_BODY + 1, expect=Expectation(body="ok")
)
ANY = RequestTemplate("any", "GET", "/any", expect=Expectation(answer=Answer.ANY))
PATIENCE_S = 5.0


def response(body: bytes = b"ok", status: int = 200, *lines: bytes) -> bytes:
    """An answer with a Content-Length."""
    head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n" % (status, len(body))
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


OK = response()
CLOSING = response(b"ok", 200, b"Connection: close")


class PairedSocket:
    """In place of a TCP socket: one end of a pair, connected from the start.

    options: what was set on it, in order; bound: the address that it was bound to.
    """

    def __init__(self, family: int, kind: int) -> None:
        assert kind == socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self.family = family
        self.options: list[tuple[int, int, int | bytes]] = []
        self.bound: tuple[str, int] | None = None
        self.target: tuple[str, int] | None = None
        self.ours, self.server = socket.socketpair()
        self.ours.setblocking(False)
        self.server.setblocking(False)

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """Nothing of TCP is done."""
        self.options.append((level, option, value))

    def bind(self, address: tuple[str, int]) -> None:
        """Nothing is bound."""
        self.bound = address

    def connect_ex(self, target: tuple[str, int]) -> int:
        """It is connected already."""
        self.target = target
        return 0

    def getsockopt(self, level: int, option: int, size: int = 0) -> int | bytes:
        """No error is waiting; a kernel that tells no times of TCP."""
        assert level in (socket.SOL_SOCKET, socket.IPPROTO_TCP), option
        return b"" if size else 0

    def getpeername(self) -> str:
        """It is connected."""
        return str(self.ours.getpeername())

    def fileno(self) -> int:
        """The descriptor that the engine reads and writes."""
        return self.ours.fileno()

    def close(self) -> None:
        """The engine closes its end."""
        self.ours.close()


class SocketModule:
    """In place of the module `socket`: its sockets are pairs, everything else is as it is."""

    def __init__(self, make: Callable[[int, int], object]) -> None:
        self.SocketType = make

    def __getattr__(self, name: str) -> Any:
        return getattr(socket, name)


class Rig:
    """An engine, the server's ends of its connections as they were opened, and its ticks."""

    def __init__(self, plan: LoadPlan) -> None:
        self.sockets: list[PairedSocket] = []
        self.ticks: list[LoadTick] = []
        self.engine = Engine(plan, 0, self.ticks.append)

    @property
    def first(self) -> Connection:
        """The engine's first connection."""
        return self.engine.connections[0]

    def open(self, family: int, kind: int) -> PairedSocket:
        """In place of socket.SocketType."""
        self.sockets.append(PairedSocket(family, kind))
        return self.sockets[-1]

    def run(self, phase: str, done: Callable[[], bool]) -> None:
        """Run until `done`, and never until the time is over."""
        self.engine.run_until(phase, time.monotonic() + PATIENCE_S, done)
        assert done()

    def run_to(self, counter: str, value: int) -> None:
        """Run until a counter of the tally has that value."""
        self.run("warmup", lambda: self.engine.tally.numbers()[counter] == value)

    def turn(self, turns: int = 3) -> None:
        """Run a few turns of the loop: what was sent to the engine is read."""
        left = iter(range(turns))
        self.run("warmup", lambda: next(left, None) is None)

    def arrived(self, index: int) -> bytes:
        """What the server's end of a connection can read now."""
        data = b""
        try:
            while more := self.sockets[index].server.recv(1 << 20):
                data += more
        except BlockingIOError:
            pass
        return data

    def answer(self, index: int, data: bytes = OK) -> None:
        """The server sends something on a connection."""
        self.sockets[index].server.sendall(data)

    def end(self, index: int) -> None:
        """The server ends a connection in order: it read everything and sends no more."""
        self.arrived(index)
        self.sockets[index].server.close()

    def reset(self, index: int) -> None:
        """The server closes with a request unread: a reset. Source: unix(7), ECONNRESET."""
        self.sockets[index].server.close()

    def failures(self) -> dict[str, int]:
        """Failed requests by kind."""
        return dict(self.engine.tally.failures)

    def close(self) -> None:
        """Both ends of every connection."""
        self.engine.close()
        for paired in self.sockets:
            paired.server.close()


Build = Callable[..., Rig]


def make_plan(
    *templates: RequestTemplate,
    connections: int = 1,
    plan: dict[str, Any] | None = None,
    **scenario: Any,
) -> LoadPlan:
    """A plan without delays: a tick at every turn, no connection with time stamps."""
    load = Scenario("s", "", "", templates, (connections,), **scenario)
    values: dict[str, Any] = {
        **{"address": "127.0.0.1", "port": 8080, "scenario": load},
        **{"total_connections": connections, "first": 0, "step": 1},
        **{"warmup_s": 0.0, "duration_s": 1.0, "drain_s": 1.0},
        **{"tick_s": 0.0, "lag_sockets": 0, **(plan or {})},
    }
    return LoadPlan(**values)


def wire(template: RequestTemplate) -> bytes:
    """The whole request, as the server must see it."""
    request = prepare(template, AUTHORITY)
    if request.payload is None:
        return request.head
    repeats = -(-request.payload.length // len(request.payload.unit))
    body = (request.payload.unit * repeats)[: request.payload.length]
    return request.head + body + request.payload.tail
