"""The workers of a load as the recorder sees them: ready, waved, finished; none is started."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from diagnose.child import Child
from diagnose.errors import WorkerFailed
from diagnose.load import pool as pool_module
from diagnose.load.accounting import Spent
from diagnose.load.pool import LoadPool
from diagnose.load.tally import Tally, mark, window
from diagnose.load.worker import Message, Trial, WorkerReport
from diagnose.model.load import LoadPlan, LoadTick
from diagnose.model.scenario import RequestTemplate, Scenario

SCENARIO = Scenario("s", "", "", (RequestTemplate("get", "GET", "/"),), (8,))
PLAN = LoadPlan("127.0.0.1", 80, SCENARIO, 8, 0, 1, 1.0, 5.0, 2.0)


class FakeChild:
    """In place of a worker's process: keeps what it is sent."""

    fail_from = 99
    made: Sequence[FakeChild] = ()

    def __init__(self, module: str, index: str, *, cpus: Sequence[int]) -> None:
        assert (module, cpus) == ("diagnose.load.worker", [2, 3])
        self.index = int(index)
        self.sent: list[bytes] = []
        self.calls: list[str] = []
        self.ended = False
        FakeChild.made = [*FakeChild.made, self]

    def send(self, line: bytes) -> None:
        if self.index >= self.fail_from:
            raise WorkerFailed("it ended")
        self.sent.append(line)

    def last_words(self) -> str:
        return f"worker {self.index} ended"

    def close_input(self) -> None:
        self.calls.append("close_input")

    def close(self, patience_s: float) -> int:
        self.calls.append(f"close {patience_s:g}")
        return 0

    def discard(self) -> None:
        self.calls.append("discard")


@pytest.fixture(autouse=True)
def fake_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "Child", FakeChild)
    monkeypatch.setattr(FakeChild, "made", [])


def pool_of(workers: int) -> LoadPool:
    return LoadPool(PLAN, workers, [2, 3])


def say(pool: LoadPool, index: int, message: Message) -> LoadTick | None:
    return pool.heard(pool.children[index], msgspec.json.encode(message))


def report(worker: int) -> WorkerReport:
    """Nothing was measured by that worker."""
    nothing = mark(Tally(), [], Spent(1.0, 0.0, 0.0))
    part = window(Tally(), [], nothing, nothing, 4)
    return WorkerReport(worker, part, 0, worker + 1, 0.0, 0.0, False, {}, False)


def test_each_worker_gets_its_share_of_the_connections() -> None:
    pool_of(3)
    plans = [msgspec.json.decode(child.sent[0], type=LoadPlan) for child in FakeChild.made]
    assert [(plan.first, plan.step) for plan in plans] == [(0, 3), (1, 3), (2, 3)]
    assert all(plan.scenario == SCENARIO for plan in plans)
    shares = [range(plan.first, plan.total_connections, plan.step) for plan in plans]
    assert sorted(index for share in shares for index in share) == list(range(8))


def test_ready_and_waved_when_every_worker_is() -> None:
    pool = pool_of(2)
    assert (pool.ready, pool.waved, pool.finished) == (False, False, False)
    say(pool, 1, Message(ready=4))
    assert (pool.ready, pool.established) == (False, 4)
    say(pool, 0, Message(ready=0))
    assert (pool.ready, pool.established) == (True, 4)
    say(pool, 0, Message(held=0))
    assert (pool.waved, pool.held) == (False, 0)
    say(pool, 1, Message(held=3))
    assert (pool.waved, pool.held) == (True, 3)
    assert not pool.finished


def test_ticks_are_given_back() -> None:
    tick = LoadTick(1.5, 1, "window", 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 3, 0.1, 0.2, 0.3)
    pool = pool_of(1)
    assert say(pool, 0, Message(tick=tick)) == tick
    assert say(pool, 0, Message(ready=1)) is None


def test_the_result_is_of_those_that_reported() -> None:
    pool = pool_of(2)
    assert pool.result() is None
    say(pool, 1, Message(report=report(1)))
    partly = pool.result()
    assert partly is not None
    assert (partly.unanswered, pool.finished) == (2, False)
    say(pool, 0, Message(report=report(0)))
    whole = pool.result()
    assert whole is not None
    assert (whole.unanswered, pool.finished) == (3, True)


def test_commands_go_to_those_that_have_not_reported() -> None:
    pool = pool_of(2)
    pool.command(b"go")
    say(pool, 0, Message(report=report(0)))
    pool.command(b"stop")
    assert [child.sent[1:] for child in FakeChild.made] == [[b"go"], [b"go", b"stop"]]


def test_tried_when_every_worker_is() -> None:
    pool = pool_of(2)
    say(pool, 0, Message(trial=Trial(0.2, 0.0, 0.1)))
    assert (pool.tried, pool.at_its_limit) == (False, False)
    say(pool, 1, Message(trial=Trial(0.3, 0.0, None)))
    assert (pool.tried, pool.at_its_limit) == (True, False)


def test_one_worker_at_its_limit_is_enough() -> None:
    pool = pool_of(2)
    say(pool, 0, Message(trial=Trial(0.2, 0.0, 0.1)))
    say(pool, 1, Message(trial=Trial(0.99, 0.0, 0.1)))
    assert pool.at_its_limit


def test_a_pool_without_a_trial_is_not_at_its_limit() -> None:
    assert not pool_of(2).at_its_limit
    assert not pool_of(2).tried


def test_workers_that_were_told_to_quit_may_end_without_a_report() -> None:
    pool = pool_of(2)
    pool.command(b"trial")
    pool.command(b"quit")
    assert [child.sent[1:] for child in FakeChild.made] == [[b"trial", b"quit"]] * 2
    assert not pool.gone
    for child in FakeChild.made:
        child.ended = True
    assert pool.gone
    for child in pool.children:
        pool.check_alive(child)
    assert pool.result() is None


@pytest.mark.parametrize("word", [b"wave", b"trial", b"go", b"stop"])
def test_no_other_command_lets_a_worker_end(word: bytes) -> None:
    pool = pool_of(1)
    pool.command(word)
    FakeChild.made[0].ended = True
    with pytest.raises(WorkerFailed, match="worker 0 ended"):
        pool.check_alive(pool.children[0])


def test_a_worker_that_fails_says_why() -> None:
    pool = pool_of(2)
    with pytest.raises(WorkerFailed, match="load worker 1 failed: OSError: no"):
        say(pool, 1, Message(error="OSError: no"))


def test_a_worker_may_end_only_after_its_report() -> None:
    pool = pool_of(2)
    for child in FakeChild.made:
        child.ended = True
    say(pool, 0, Message(report=report(0)))
    pool.check_alive(pool.children[0])
    with pytest.raises(WorkerFailed, match="worker 1 ended"):
        pool.check_alive(pool.children[1])


def test_closing_tells_all_before_it_waits_for_one() -> None:
    pool_of(2).close(1.5)
    assert [child.calls for child in FakeChild.made] == [
        ["close_input", "close 1.5", "discard"]
    ] * 2


def test_nothing_stays_when_one_worker_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeChild, "fail_from", 1)
    with pytest.raises(WorkerFailed, match="it ended"):
        pool_of(3)
    assert [child.calls for child in FakeChild.made] == [["close_input", "close 0", "discard"]] * 2


def test_the_fake_has_what_the_pool_uses() -> None:
    for name in ("send", "last_words", "close_input", "close", "discard"):
        assert callable(getattr(Child, name))
