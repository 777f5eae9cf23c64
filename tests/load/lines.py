"""Lines that are made up: a server as a function of what it has read; no time passes but theirs."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from diagnose.load import conversation
from diagnose.load.line import Line

Answers = Callable[[bytes], list[bytes | OSError | None]]


class FakeLine(Line):
    """A line to a server that answers by what it has read; None ends the line, an error breaks it.

    The server is asked whenever something was sent; an answer is given once. most: bytes that one
    call takes. refuses_after: so many bytes are taken before sending breaks.
    """

    server: Answers
    lines: list[FakeLine]
    clock: list[float]
    most = 1 << 30
    refuses_after = 1 << 30

    def __init__(
        self, address: str = "", port: int = 0, timeout_s: float = 0.0, context: object = None
    ) -> None:
        self.sent: list[bytes] = []
        self.at: list[float] = []
        self.waiting: list[bytes | OSError | None] = []
        self.given = 0
        self.closed = self.finished = False
        FakeLine.lines.append(self)

    def __exit__(self, *_: object) -> None:
        self.closed = True

    @property
    def protocol(self) -> str | None:
        """No TLS."""
        return None

    def wait(self, seconds: float, *, writing: bool) -> tuple[bool, bool]:
        """Time passes when there is nothing to do."""
        if not self.waiting and not writing:
            FakeLine.clock[0] += max(seconds, 0.001)
        return bool(self.waiting), writing

    def send(self, data: bytes | memoryview) -> int:
        taken = bytes(data[: self.most])
        if sum(map(len, self.sent)) >= self.refuses_after:
            raise BrokenPipeError(32, "Broken pipe")
        self.sent.append(taken)
        self.at.append(FakeLine.clock[0])
        answers = FakeLine.server(b"".join(self.sent))
        self.waiting += answers[self.given :]
        self.given = max(self.given, len(answers))
        return len(taken)

    def receive(self) -> bytes | None:
        answer = self.waiting.pop(0)
        if isinstance(answer, OSError):
            raise answer
        if answer is None:
            self.waiting.append(None)
            return b""
        return answer

    def finish(self) -> None:
        self.finished = True


def pass_time(monkeypatch: pytest.MonkeyPatch, server: Answers = lambda _: []) -> None:
    """A clock that stands at 100 until a line lets time pass, and the server of the lines."""
    monkeypatch.setattr(FakeLine, "lines", [], raising=False)
    monkeypatch.setattr(FakeLine, "clock", [100.0], raising=False)
    monkeypatch.setattr(FakeLine, "server", staticmethod(server), raising=False)
    clock = SimpleNamespace(monotonic=lambda: FakeLine.clock[0])
    monkeypatch.setattr(conversation, "time", clock)
