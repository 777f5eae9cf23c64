"""A load worker process: `python -m diagnose.load.worker N`, spoken to in lines of JSON.

It reads its plan, connects, says how many connections stand, and waits. `wave` makes it send every
connection's first body but its last byte and say how many it holds so; `trial` makes it load for a
moment and say what that cost; `go` runs warm-up, window and drain; `quit` sends nothing more, waits
a little for what is in flight, and ends. On standard output: ticks as they are taken, then the
window's result. `stop` ends it early with what it has; the end of its input ends it at once.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass

import msgspec

from diagnose.load.accounting import Spent, wake_on_time
from diagnose.load.engine import Engine
from diagnose.load.histogram import Histogram
from diagnose.load.tally import Window, window
from diagnose.model.load import LoadPlan, LoadTick
from diagnose.orphan import die_with_parent

# The wave ends together for all workers; one that hears nothing goes on alone.
WAIT_FOR_GO_S = 60.0
QUIT_S = 1.0
# As in the rule client_saturated: most of the latency passes after the answer has arrived. A trial
# is short, and one worker too many costs less than one too few: lower than the rule's.
TRIAL_LATE_SHARE = 0.6
TRIAL_BUSY_SHARE = 0.92
# A worker is put to the proof when it may have been the limit by any sign.
SUSPECT_LATE_SHARE = 0.5
SUSPECT_BUSY_SHARE = 0.85
MIN_LAG_SAMPLES = 100


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
    overdue: int = 0
    proof: tuple[float, float] | None = None
    proof_s: float = 0.0
    send_times: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a moment of load cost a worker, in shares of its time; late_share: see lag_share."""

    busy_share: float
    run_queue_share: float
    late_share: float | None

    @property
    def at_its_limit(self) -> bool:
        """The worker could not have done much more."""
        if self.late_share is not None and self.late_share > TRIAL_LATE_SHARE:
            return True
        return self.busy_share + self.run_queue_share > TRIAL_BUSY_SHARE


class Message(msgspec.Struct, omit_defaults=True):
    """One line from a worker: exactly one field is set."""

    tick: LoadTick | None = None
    ready: int | None = None
    held: int | None = None
    trial: Trial | None = None
    report: WorkerReport | None = None
    error: str | None = None


class _Control:
    """Commands from standard input, read without blocking once the load runs."""

    def __init__(self) -> None:
        self._buffer = b""
        self.words: list[bytes] = []

    def line(self) -> bytes:
        """The next line, waited for; b'' at the end of the input."""
        while not self.words:
            data = os.read(0, 1 << 16)
            if not data:
                return b""
            self._take(data)
        return self.words.pop(0)

    def _take(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        self.words += lines

    def wants_stop(self) -> bool:
        """Read what is there: stop was asked for, or the asker is gone (then end at once)."""
        data = os.read(0, 1 << 16)
        if not data:
            os._exit(1)
        self._take(data)
        return b"stop" in self.words

    def word(self) -> bytes:
        """The next command that came while the load ran; `go` when none came for too long."""
        return self.words.pop(0) if self.words else b"go"


def _say(message: Message) -> None:
    data = msgspec.json.encode(message) + b"\n"
    while data:
        data = data[os.write(1, data) :]


def run(plan: LoadPlan, worker: int, control: _Control) -> WorkerReport | None:
    """The whole life of a worker after it has its plan; None when it was told to quit."""
    engine = Engine(plan, worker, lambda tick: _say(Message(tick=tick)))
    established = engine.connect()
    _say(Message(ready=established))
    command = control.line()
    if not command:
        os._exit(1)
    if b"stop" in control.words:
        command = b"stop"
    if command != b"stop":
        engine.control(0, control.wants_stop)
    if command == b"wave":
        _say(Message(held=engine.wave(time.monotonic() + plan.wave_s)))
        command = _await(engine, control)
        engine.release()
    if command == b"trial":
        _say(Message(trial=_trial(engine, plan)))
        command = _await(engine, control)
    if command == b"quit":
        engine.drain(time.monotonic() + QUIT_S)
        engine.close()
        return None
    report = _measure(engine, plan, worker, command == b"go" and not engine.stopped)
    engine.close()
    return report


def _await(engine: Engine, control: _Control) -> bytes:
    """Go on as it is until the next command."""
    engine.rest(time.monotonic() + WAIT_FOR_GO_S, lambda: bool(control.words))
    return control.word()


def _trial(engine: Engine, plan: LoadPlan) -> Trial:
    before = engine.mark(time.monotonic(), fresh=True).spent
    engine.run_until("trial", time.monotonic() + plan.trial_s)
    after = engine.mark(time.monotonic()).spent
    busy, waited = _shares(before, after)
    return Trial(busy, waited, late_share(engine))


def _measure(engine: Engine, plan: LoadPlan, worker: int, going: bool) -> WorkerReport:
    """Ramp, warm-up, window, proof where it is needed, and drain."""
    if going:
        if plan.scenario.ramp_s:
            engine.ramp()
        engine.run_until("warmup", time.monotonic() + plan.warmup_s)
    began = time.monotonic()
    first = engine.mark(began, fresh=True)
    overdue_before = engine.overdue(began)
    if going:
        engine.run_until("window", began + plan.duration_s)
    last = engine.mark(time.monotonic())
    overdue = max(0, engine.overdue(time.monotonic()) - overdue_before)
    result = window(engine.tally, engine.states, first, last, engine.established)
    send_times = engine.send_times()
    interrupted = engine.stopped or not going
    drain_s, progress, proof, proof_s = 0.0, False, None, 0.0
    before_drain = Counter(engine.tally.failures)
    if not interrupted:
        if plan.spin_probe and _suspect(engine, first.spent, last.spent):
            proof_began = time.monotonic()
            events = last.numbers["events"] - first.numbers["events"]
            proof = engine.prove(first.spent, last.spent, events)
            proof_s = time.monotonic() - proof_began
        before_drain = Counter(engine.tally.failures)
        drain_s, progress = engine.drain(time.monotonic() + plan.drain_s)
    return WorkerReport(
        worker=worker,
        window=result,
        late=engine.late,
        unanswered=engine.in_flight,
        unanswered_stalled_s=engine.oldest_stall(time.monotonic()),
        drain_s=drain_s,
        # Whoever has nothing left to wait for makes no progress and proves none.
        drain_progress=progress and engine.in_flight > 0,
        drain_failures=dict(engine.tally.failures - before_drain),
        interrupted=interrupted,
        overdue=overdue,
        proof=proof,
        proof_s=proof_s,
        send_times=send_times,
    )


def _shares(before: Spent, after: Spent) -> tuple[float, float]:
    """The shares of the time on a CPU, and waiting for one."""
    wall = max(1e-9, after.wall_s - before.wall_s)
    return (after.cpu_s - before.cpu_s) / wall, (after.run_queue_s - before.run_queue_s) / wall


def late_share(engine: Engine) -> float | None:
    """The median time from the kernel's receipt of a response to our reading it, in shares of the
    median latency, since the last fresh mark; None with too few timed responses."""
    late = engine.tally.late
    if late.samples < MIN_LAG_SAMPLES:
        return None
    latency = Histogram()
    for state in engine.states:
        if not state.any:
            latency.merge(state.histogram)
    median = latency.percentile(50)
    return late.percentile(50) / median if median else None


def _suspect(engine: Engine, before: Spent, after: Spent) -> bool:
    late = late_share(engine)
    if late is not None and late > SUSPECT_LATE_SHARE:
        return True
    return sum(_shares(before, after)) > SUSPECT_BUSY_SHARE


def main() -> int:
    """Entry point of the process."""
    die_with_parent()
    wake_on_time()
    worker = int(sys.argv[1])
    control = _Control()
    try:
        plan = msgspec.json.decode(control.line(), type=LoadPlan)
        gc.disable()
        report = run(plan, worker, control)
        if report is not None:
            _say(Message(report=report))
    except (OSError, MemoryError, ValueError) as error:
        _say(Message(error=f"{type(error).__name__}: {error}"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
