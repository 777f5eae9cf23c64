"""A load worker's commands, and the phases that they lead to; no process is started."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from diagnose.load import worker
from diagnose.load.accounting import Spent
from diagnose.load.engine import Engine
from diagnose.load.tally import Mark, Tally, mark
from diagnose.load.worker import Message, WorkerReport, run
from diagnose.model.load import LoadPlan
from tests.load.rig import GET, make_plan

# -- the words -----------------------------------------------------------------------------------


def input_of(monkeypatch: pytest.MonkeyPatch, *pieces: bytes) -> worker._Control:
    """Standard input that arrives in these pieces and then ends."""
    left = list(pieces)

    def read(fd: int, size: int) -> bytes:
        assert (fd, size > 0) == (0, True)
        return left.pop(0) if left else b""

    monkeypatch.setattr(worker, "os", SimpleNamespace(read=read, _exit=leave))
    return worker._Control()


def leave(status: int) -> None:
    raise SystemExit(status)


def test_lines_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    control = input_of(monkeypatch, b"plan\ngo\nstop\n")
    assert [control.line() for _ in range(4)] == [b"plan", b"go", b"stop", b""]


def test_lines_byte_by_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    control = input_of(monkeypatch, *(bytes([byte]) for byte in b"wave\ntrial\n"))
    assert [control.line() for _ in range(3)] == [b"wave", b"trial", b""]


def test_the_end_of_the_input_inside_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert input_of(monkeypatch, b"pla").line() == b""


def test_stop_is_heard_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    control = input_of(monkeypatch, b"go\nst", b"op\n")
    assert not control.wants_stop()
    assert control.wants_stop()
    assert control.word() == b"go"


def test_a_worker_whose_recorder_is_gone_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        input_of(monkeypatch).wants_stop()


def test_a_worker_that_hears_nothing_goes_on_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert input_of(monkeypatch).word() == b"go"


# -- what a worker does --------------------------------------------------------------------------


class FakeEngine:
    """In place of an engine: what it was told, on a clock that jumps to the end of each phase."""

    def __init__(self, plan: LoadPlan, index: int, emit: Callable[..., None]) -> None:
        self.plan = plan
        self.did: list[str] = []
        self.stopped = False
        self.tally = Tally()
        self.states: Sequence[Any] = ()
        self.established = 8
        self.late, self.in_flight = 2, 3
        self.now = 100.0
        self.cpu = 0.0
        self.arrives: dict[str, Callable[[], None]] = {}
        FakeEngine.made = self

    made: FakeEngine

    def _do(self, name: str) -> None:
        self.did.append(name)
        self.arrives.get(name, lambda: None)()

    def connect(self) -> int:
        self._do("connect")
        return self.established

    def control(self, fd: int, handler: Callable[[], bool]) -> None:
        assert fd == 0
        assert callable(handler)

    def wave(self, _: float) -> int:
        self._do("wave")
        return 5

    def rest(self, _: float, done: Callable[[], bool]) -> None:
        self._do("rest")

    def release(self) -> None:
        self._do("release")

    def ramp(self) -> None:
        self._do("ramp")

    def run_until(self, phase: str, end: float) -> None:
        self._do(phase)
        if not self.stopped:
            self.cpu += (end - self.now) * 0.5
            self.now = end

    def mark(self, now: float, *, fresh: bool = False) -> Mark:
        self.did.append("fresh" if fresh else "mark")
        return mark(self.tally, [], Spent(self.now, self.cpu, 0.0))

    def overdue(self, _: float) -> int:
        return 7

    def send_times(self) -> tuple[float, float, float]:
        return 4.0, 3.0, 0.5

    def prove(self, before: Spent, after: Spent, events: int) -> tuple[float, float]:
        self._do("prove")
        assert after.wall_s - before.wall_s == pytest.approx(1.0)
        return 0.00001, 0.3

    def drain(self, _: float) -> tuple[float, bool]:
        self._do("drain")
        return 0.5, True

    def oldest_stall(self, _: float) -> float:
        return 1.5

    def close(self) -> None:
        self.did.append("close")


@pytest.fixture(name="said")
def _said(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """What the worker says; its clock is the engine's."""
    messages: list[Message] = []
    monkeypatch.setattr(worker, "_say", messages.append)
    monkeypatch.setattr(worker, "Engine", FakeEngine)
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=lambda: FakeEngine.made.now))
    return messages


def work(plan: LoadPlan, *words: bytes) -> tuple[WorkerReport | None, list[str]]:
    """A worker that finds these commands waiting; its report and what it did."""
    control = worker._Control()
    control.words = list(words)
    report = run(plan, 1, control)
    return report, FakeEngine.made.did


PLAN = make_plan(GET, plan={"warmup_s": 0.5, "spin_probe": False})


def test_go(said: list[Message]) -> None:
    report, did = work(PLAN, b"go")
    assert did == ["connect", "warmup", "fresh", "window", "mark", "drain", "close"]
    assert said == [Message(ready=8)]
    assert report is not None
    assert (report.worker, report.interrupted) == (1, False)
    assert (report.late, report.unanswered, report.unanswered_stalled_s) == (2, 3, 1.5)
    assert (report.drain_s, report.drain_progress, report.overdue) == (0.5, True, 0)
    assert (report.send_times, report.proof, report.proof_s) == ((4.0, 3.0, 0.5), None, 0.0)
    assert report.window.wall_s == pytest.approx(1.0)
    assert report.window.established == 8


def test_a_ramp_comes_before_the_warmup(said: list[Message]) -> None:
    _, did = work(make_plan(GET, ramp_s=3.0), b"go")
    assert did[:3] == ["connect", "ramp", "warmup"]


def test_wave_then_go(said: list[Message]) -> None:
    report, did = work(PLAN, b"wave", b"go")
    assert did[:5] == ["connect", "wave", "rest", "release", "warmup"]
    assert said == [Message(ready=8), Message(held=5)]
    assert report is not None
    assert not report.interrupted


def test_trial_then_go(said: list[Message]) -> None:
    report, did = work(make_plan(GET, plan={"trial_s": 0.6}), b"trial", b"go")
    assert did[:6] == ["connect", "fresh", "trial", "mark", "rest", "warmup"]
    trial = said[1].trial
    assert trial is not None
    assert trial.busy_share == pytest.approx(0.5)
    assert (trial.run_queue_share, trial.late_share) == (0.0, None)
    assert report is not None


def test_wave_then_trial_then_go(said: list[Message]) -> None:
    _, did = work(PLAN, b"wave", b"trial", b"go")
    assert did[:7] == ["connect", "wave", "rest", "release", "fresh", "trial", "mark"]


@pytest.mark.parametrize("words", [(b"quit",), (b"trial", b"quit"), (b"wave", b"trial", b"quit")])
def test_quit_reports_nothing(said: list[Message], words: tuple[bytes, ...]) -> None:
    """What is in flight may be answered: a reset would be a fault of the server's in its log."""
    report, did = work(PLAN, *words)
    assert report is None
    assert did[-2:] == ["drain", "close"]
    assert "window" not in did


@pytest.mark.parametrize(
    "words", [(b"stop",), (b"go", b"stop"), (b"wave", b"stop"), (b"trial", b"stop")]
)
def test_stop_while_waiting_reports_what_there_is(
    said: list[Message], words: tuple[bytes, ...]
) -> None:
    report, did = work(PLAN, *words)
    assert report is not None
    assert report.interrupted
    assert not {"warmup", "window", "drain"} & set(did)
    assert did[-1] == "close"


def test_stop_in_the_window(said: list[Message], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        FakeEngine.made.stopped = True

    monkeypatch.setattr(FakeEngine, "connect", lambda self: self.arrives.update(window=stop) or 8)
    report, did = work(PLAN, b"go")
    assert report is not None
    assert report.interrupted
    assert "drain" not in did


def test_the_end_of_the_input_ends_a_worker_at_once(
    said: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        worker, "os", SimpleNamespace(read=lambda *_: b"", _exit=leave, write=os.write)
    )
    with pytest.raises(SystemExit) as caught:
        work(PLAN)
    assert caught.value.code == 1


@pytest.mark.parametrize(
    ("probe", "busy", "proved"), [(True, 0.95, True), (True, 0.5, False), (False, 0.95, False)]
)
def test_only_a_suspect_is_put_to_the_proof(
    said: list[Message], monkeypatch: pytest.MonkeyPatch, probe: bool, busy: float, proved: bool
) -> None:
    monkeypatch.setattr(worker, "_shares", lambda *_: (busy, 0.0))
    report, did = work(make_plan(GET, plan={"spin_probe": probe}), b"go")
    assert ("prove" in did) is proved
    assert report is not None
    assert report.proof == ((0.00001, 0.3) if proved else None)
    if proved:
        assert did.index("prove") < did.index("drain")


def test_failures_of_the_proof_are_not_those_of_the_drain(
    said: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(kind: str) -> Callable[[], None]:
        return lambda: FakeEngine.made.tally.failures.update({kind: 1})

    def connect(engine: FakeEngine) -> int:
        engine.arrives = {"window": fails("a"), "prove": fails("b"), "drain": fails("c")}
        return 8

    monkeypatch.setattr(FakeEngine, "connect", connect)
    monkeypatch.setattr(worker, "_shares", lambda *_: (1.0, 0.0))
    report, _ = work(make_plan(GET), b"go")
    assert report is not None
    assert (report.window.failures, report.drain_failures) == ({"a": 1}, {"c": 1})


def test_who_has_nothing_to_wait_for_makes_no_progress(
    said: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered(engine: FakeEngine) -> int:
        engine.in_flight = 0
        return 8

    monkeypatch.setattr(FakeEngine, "connect", answered)
    report, _ = work(PLAN, b"go")
    assert report is not None
    assert (report.unanswered, report.drain_progress) == (0, False)


def test_the_fake_has_what_the_worker_uses() -> None:
    names = [name for name in vars(FakeEngine) if not name.startswith("_") and name != "made"]
    assert len(names) > 10
    assert all(callable(getattr(Engine, name)) for name in names)
