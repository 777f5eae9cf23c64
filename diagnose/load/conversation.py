"""One connection: pieces go out, answers are read meanwhile, and all of it is on record.

Nothing that a server does (silence, resets, garbage, an endless answer, one byte at a time) lasts
longer than the deadline or takes more memory than an answer that is kept.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from diagnose.load.http1 import FramingError, Response
from diagnose.load.line import Line
from diagnose.load.readers import Reader
from diagnose.model.validation import Event, Excerpt

# Of what goes one way without a stop: enough for any head of the contract, and for a glance at
# the end of a body.
START_BYTES, END_BYTES = 1024, 256
# A server that answers byte by byte while it is sent to: the record stays readable.
MAX_EVENTS = 64
# How often the deadline is looked at while nothing happens.
TURN_S = 0.25


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that go out together.

    pause_s: time that passes first, after the piece before. after: so many answers must have
    arrived first. awaits: the pause ends early when what has arrived starts with these bytes.
    """

    data: bytes
    pause_s: float = 0.0
    after: int = 0
    awaits: bytes = b""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a conversation.

    problem: why there are fewer answers than were waited for; '' when there are not.
    timed_out: that was the deadline. sent, to_send: bytes of the pieces.
    """

    responses: tuple[Response, ...]
    problem: str
    elapsed_s: float
    sent: int
    to_send: int
    received: Excerpt
    events: tuple[Event, ...] = ()
    timed_out: bool = False

    @property
    def early(self) -> bool:
        """All answers had come before the request was sent whole."""
        return not self.problem and self.sent < self.to_send


def converse(
    line: Line,
    pieces: Sequence[Piece],
    reader: Reader,
    answers: int,
    timeout_s: float,
    *,
    finish: bool = False,
) -> Seen:
    """Send the pieces and read so many answers, reading also while sending; it ends with the last.

    finish: the client says that nothing more will come, once all pieces are sent.
    """
    return _Conversation(line, pieces, reader, answers, timeout_s, finish).run()


class _Shortened:
    """Bytes without their middle."""

    def __init__(self) -> None:
        self._start, self._end, self.size = bytearray(), bytearray(), 0

    def add(self, data: bytes | memoryview) -> None:
        self.size += len(data)
        room = START_BYTES - len(self._start)
        self._start += data[:room]
        self._end += data[room:][-END_BYTES:]
        del self._end[:-END_BYTES]

    def excerpt(self) -> Excerpt:
        return Excerpt(bytes(self._start), bytes(self._end), self.size)


class _Conversation:
    def __init__(
        self,
        line: Line,
        pieces: Sequence[Piece],
        reader: Reader,
        answers: int,
        timeout_s: float,
        finish: bool,
    ) -> None:
        self._line, self._reader, self._answers = line, reader, answers
        self._timeout_s, self._finish = timeout_s, finish
        self._started = time.monotonic()
        self._waiting = [piece for piece in reversed(pieces) if piece.data]
        self._to_send = sum(len(piece.data) for piece in pieces)
        self._sent = 0
        # The rest of the piece or of the answer of our own that is on its way out.
        self._out = memoryview(b"")
        self._owed = b""
        self._counts = False
        self._last_sent = self._started
        self._stopped = False
        self._responses: list[Response] = []
        self._received = _Shortened()
        self._first = b""
        self._events: list[tuple[float, bool, _Shortened]] = []

    def run(self) -> Seen:
        problem = ""
        timed_out = False
        while len(self._responses) < self._answers and not problem:
            if time.monotonic() - self._started >= self._timeout_s:
                problem, timed_out = self._short("no complete answer", in_time=True), True
                break
            try:
                problem = self._turn()
            except FramingError as error:
                problem = str(error)
                if came := len(self._responses):
                    problem += f" (after {came} of {self._answers} answers)"
            except OSError as error:
                problem = self._short(_words(error))
        return Seen(
            responses=tuple(self._responses),
            problem=problem,
            elapsed_s=time.monotonic() - self._started,
            sent=self._sent,
            to_send=self._to_send,
            received=self._received.excerpt(),
            events=tuple(
                Event(at_s, sent, part.excerpt()) for at_s, sent, part in self._events if part.size
            ),
            timed_out=timed_out,
        )

    def _turn(self) -> str:
        """Send and read what can be now; why there will be no more answers, '' if there may be."""
        now = time.monotonic()
        due = self._next_due(now)
        writing = bool(self._out)
        left = self._started + self._timeout_s - now
        pause = max(0.0, min(TURN_S, left, due - now))
        readable, writable = self._line.wait(pause, writing=writing)
        if writable:
            self._send()
        data = self._line.receive() if readable else None
        if data is None:
            return ""
        if data:
            self._received.add(data)
            self._first += data[: START_BYTES - len(self._first)]
            self._note(data, sent=False)
            self._responses += self._reader.feed(data)
            self._owed += self._reader.owed()
            return ""
        last = self._reader.end()
        self._responses += [last] if last is not None else []
        return self._short("the connection was closed")

    def _next_due(self, now: float) -> float:
        """Take up what may be sent now; the time at which the next piece may be."""
        if self._out or self._stopped:
            return float("inf")
        if self._owed:
            self._out, self._owed, self._counts = memoryview(self._owed), b"", False
            self._begin()
            return float("inf")
        if not self._waiting:
            if self._finish:
                self._finish = False
                self._line.finish()
            return float("inf")
        piece = self._waiting[-1]
        if len(self._responses) < piece.after:
            return float("inf")
        due = self._last_sent + piece.pause_s
        if now < due and not (piece.awaits and self._first.startswith(piece.awaits)):
            return due
        self._waiting.pop()
        self._out, self._counts = memoryview(piece.data), True
        self._begin(apart=piece.pause_s > 0)
        return float("inf")

    def _begin(self, apart: bool = False) -> None:
        """What is sent from here on stands by itself in the record if there was a pause."""
        if apart and len(self._events) < MAX_EVENTS:
            self._events.append((time.monotonic() - self._started, True, _Shortened()))

    def _send(self) -> None:
        try:
            count = self._line.send(self._out)
        except OSError:
            # The server has closed, but its last words may still be there to read.
            self._stopped, self._out = True, memoryview(b"")
            return
        if count:
            self._note(self._out[:count], sent=True)
        self._out = self._out[count:]
        self._sent += count if self._counts else 0
        if not self._out:
            self._last_sent = time.monotonic()

    def _note(self, data: bytes | memoryview, *, sent: bool) -> None:
        if not self._events or (self._events[-1][1] is not sent and len(self._events) < MAX_EVENTS):
            self._events.append((time.monotonic() - self._started, sent, _Shortened()))
        for _, way, part in reversed(self._events):
            if way is sent:
                return part.add(data)

    def _short(self, what: str, *, in_time: bool = False) -> str:
        """Why answers are missing; '' when none is."""
        came = len(self._responses)
        if came >= self._answers:
            return ""
        if in_time:
            what += f" within {self._timeout_s:g} s"
            return what if not came else f"{what}: {came} of {self._answers} came"
        what += f" after {came} of {self._answers} answers" if came else " without an answer"
        if self._sent < self._to_send and self._stopped:
            what += f", when {self._sent} of {self._to_send} bytes of the request were sent"
        return what


def _words(error: OSError) -> str:
    if isinstance(error, ConnectionResetError):
        return "the connection was reset"
    return f"the connection failed ({error.strerror or error})"
