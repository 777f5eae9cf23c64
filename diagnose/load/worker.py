"""A load worker process: `python -m diagnose.load.worker N`, spoken to in lines of JSON.

It reads its plan, connects, says how many connections stand, and waits. `wave` makes it send every
connection's first body but its last byte and say how many it holds so; `go` runs warm-up, window
and drain. On standard output: ticks as they are taken, then the window's result. `stop`
ends it early with what it has; the end of its input ends it at once.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from dataclasses import dataclass

import msgspec

from diagnose.load.engine import Engine
from diagnose.load.tally import Window, window
from diagnose.model.load import LoadPlan, LoadTick
from diagnose.orphan import die_with_parent

# The wave ends together for all workers; one that hears nothing goes on alone.
WAIT_FOR_GO_S = 60.0


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """The end of one worker's work; times in seconds."""

    worker: int
    window: Window
    late: int
    unanswered: int
    unanswered_stalled_s: float
    drain_s: float
    drain_progress: bool
    drain_failures: dict[str, int]
    interrupted: bool


class Message(msgspec.Struct, omit_defaults=True):
    """One line from a worker: exactly one field is set."""

    tick: LoadTick | None = None
    ready: int | None = None
    held: int | None = None
    report: WorkerReport | None = None
    error: str | None = None


class _Control:
    """Commands from standard input, read without blocking once the load runs."""

    def __init__(self) -> None:
        self._buffer = b""
        self.going = False

    def line(self) -> bytes:
        """The next line, waited for; b'' at the end of the input."""
        while b"\n" not in self._buffer:
            data = os.read(0, 1 << 16)
            if not data:
                return b""
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def wants_stop(self) -> bool:
        """Read what is there: stop was asked for, or the asker is gone (then end at once)."""
        data = os.read(0, 1 << 16)
        if not data:
            os._exit(1)
        self.going = self.going or b"go" in data
        return b"stop" in data


def _say(message: Message) -> None:
    data = msgspec.json.encode(message) + b"\n"
    while data:
        data = data[os.write(1, data) :]


def run(plan: LoadPlan, worker: int, control: _Control) -> WorkerReport:
    """The whole life of a worker after it has its plan."""
    engine = Engine(plan, worker, lambda tick: _say(Message(tick=tick)))
    established = engine.connect()
    _say(Message(ready=established))
    command = control.line()
    if not command:
        os._exit(1)
    if command != b"stop":
        engine.control(0, control.wants_stop)
    if command == b"wave":
        _say(Message(held=engine.wave(time.monotonic() + plan.wave_s)))
        engine.rest(time.monotonic() + WAIT_FOR_GO_S, lambda: control.going)
        engine.release()
        command = b"go"
    if command == b"go":
        engine.run_until("warmup", time.monotonic() + plan.warmup_s)
    began = time.monotonic()
    first = engine.mark(began, fresh=True)
    if command == b"go":
        engine.run_until("window", began + plan.duration_s)
    last = engine.mark(time.monotonic())
    result = window(engine.tally, engine.states, first, last, engine.established)
    interrupted = engine.stopped or command != b"go"
    drain_s, progress = 0.0, False
    if not interrupted:
        drain_s, progress = engine.drain(time.monotonic() + plan.drain_s)
    report = WorkerReport(
        worker=worker,
        window=result,
        late=engine.late,
        unanswered=engine.in_flight,
        unanswered_stalled_s=engine.oldest_stall(time.monotonic()),
        drain_s=drain_s,
        # Whoever has nothing left to wait for makes no progress and proves none.
        drain_progress=progress and engine.in_flight > 0,
        drain_failures=dict(engine.tally.failures - last.failures),
        interrupted=interrupted,
    )
    engine.close()
    return report


def main() -> int:
    """Entry point of the process."""
    die_with_parent()
    worker = int(sys.argv[1])
    control = _Control()
    try:
        plan = msgspec.json.decode(control.line(), type=LoadPlan)
        gc.disable()
        _say(Message(report=run(plan, worker, control)))
    except (OSError, MemoryError, ValueError) as error:
        _say(Message(error=f"{type(error).__name__}: {error}"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
