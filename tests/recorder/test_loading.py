"""The load of a run: which driver, how many workers, and what is tried before the window."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from diagnose.errors import UsageError
from diagnose.load import drivers
from diagnose.load.drivers import Judgement
from diagnose.load.pool import LoadPool
from diagnose.model.load import LoadPlan
from diagnose.model.scenario import Protocol, Scenario
from diagnose.recorder import RunOptions, loading
from diagnose.recorder.journal import Journal
from diagnose.recorder.loading import (
    FREE_CORES,
    Loads,
    chosen_driver,
    fewest_workers,
    most_workers,
)
from diagnose.recorder.loop import Loop
from tests.builders import UPLOADS, make_manifest, make_scenario

H2 = make_scenario(name="baseline-h2", protocol=Protocol.H2)


def options(scenario: Scenario | None = None, connections: int = 64, **more: Any) -> RunOptions:
    return RunOptions(scenario or make_scenario(), connections, **more)


# -- the driver ----------------------------------------------------------------------------------


@pytest.fixture(name="installed")
def _installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Programs on PATH; none at first."""
    programs: set[str] = set()
    monkeypatch.setattr(
        drivers.shutil, "which", lambda name: f"/x/{name}" if name in programs else None
    )
    return programs


@pytest.mark.parametrize("name", ["", "diagnose"])
def test_our_own_engine_is_no_driver(installed: set[str], name: str) -> None:
    assert chosen_driver(options(driver=name)) is None


@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.WS])
def test_http_1_needs_no_driver(installed: set[str], protocol: Protocol) -> None:
    assert chosen_driver(options(make_scenario(protocol=protocol))) is None


def test_an_unknown_driver_lists_those_that_there_are(installed: set[str]) -> None:
    with pytest.raises(UsageError, match="no driver 'ab'") as caught:
        chosen_driver(options(driver="ab"))
    for name in drivers.names():
        assert name in str(caught.value)


def test_a_driver_that_is_not_installed_says_how(installed: set[str]) -> None:
    with pytest.raises(UsageError, match=r"wrk is not on PATH: .*install"):
        chosen_driver(options(driver="wrk"))


def test_a_driver_that_is_installed(installed: set[str]) -> None:
    installed.add("wrk")
    driver = chosen_driver(options(driver="wrk"))
    assert driver is not None
    assert driver.PROGRAM == "wrk"


def test_a_driver_that_cannot_send_the_scenario_says_why(
    installed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.add("wrk")
    asked: list[int] = []

    def judge(_: Scenario, connections: int) -> Judgement:
        asked.append(connections)
        return Judgement(refusal="it does not speak that")

    monkeypatch.setattr(drivers.driver("wrk"), "judge", judge)
    with pytest.raises(UsageError) as caught:
        chosen_driver(options(driver="wrk", connections=512))
    assert str(caught.value) == "wrk cannot send baseline: it does not speak that"
    assert asked == [512]


def test_http_2_is_sent_by_a_driver(installed: set[str]) -> None:
    installed.add("h2load")
    driver = chosen_driver(options(H2))
    assert driver is not None
    assert driver.PROGRAM == "h2load"


def test_http_2_without_its_driver(installed: set[str]) -> None:
    with pytest.raises(UsageError, match="h2load is not on PATH"):
        chosen_driver(options(H2))


def test_our_own_engine_does_not_speak_http_2(installed: set[str]) -> None:
    installed.add("h2load")
    with pytest.raises(
        UsageError, match=r"speaks HTTP/1.1, not the HTTP/2 of baseline-h2"
    ) as caught:
        chosen_driver(options(H2, driver="diagnose"))
    assert "--driver h2load" in str(caught.value)


# -- the number of workers -----------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker can hold 1000 connections, and one client address is enough."""
    monkeypatch.setattr(
        loading.host_room, "workers_for_descriptors", lambda connections: -(-connections // 1000)
    )
    monkeypatch.setattr(loading.host_room, "sources", lambda *_: ((), 0))


MOST = {
    "one_for_each_core": (64, None, (2, 3), 2),
    "as_many_as_connections": (1, None, (2, 3), 1),
    "as_asked": (64, 5, (2, 3), 5),
    "no_more_than_connections_as_asked": (3, 5, (2, 3), 3),
    "more_than_cores_for_the_descriptors": (4096, None, (2, 3), 5),
    "no_core": (64, None, (), 1),
}


@pytest.mark.parametrize(("connections", "asked", "cpus", "most"), MOST.values(), ids=MOST.keys())
def test_most_workers(
    connections: int, asked: int | None, cpus: tuple[int, ...], most: int
) -> None:
    assert most_workers(options(connections=connections, load_workers=asked), cpus) == most


@pytest.mark.parametrize(
    ("connections", "most", "fewest"), [(64, 4, 1), (4096, 8, 5), (4096, 4, 4), (1, 1, 1)]
)
def test_fewest_workers(connections: int, most: int, fewest: int) -> None:
    assert fewest_workers(options(connections=connections), most) == fewest


# -- the trial -----------------------------------------------------------------------------------


class FakePool:
    """In place of a pool: it does at once what it is told."""

    def __init__(self, workers: int, at_its_limit: bool) -> None:
        self.workers, self.at_its_limit = workers, at_its_limit
        self.commands: list[bytes] = []
        self.ready = self.tried = self.waved = self.gone = self.finished = True
        self.established = self.held = 64
        self.closed = False
        self.children: tuple[()] = ()

    def command(self, word: bytes) -> None:
        self.commands.append(word)

    def result(self) -> None:
        return None

    def close(self, _: float = 1.0) -> None:
        self.closed = True


class FakeJournal:
    """Keeps the phases and what they said."""

    def __init__(self) -> None:
        self.manifest = make_manifest()
        self.said: list[tuple[str, str]] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[list[str]]:
        words: list[str] = []
        yield words
        self.said.append((name, "; ".join(words)))


class FakeLoop:
    """Everything that is waited for has come."""

    def pump(self, until: float, done: Any = None, *, during_load: bool = False) -> None:
        assert done is None or done()

    def forget(self, _: object) -> None:
        """It listened to nobody."""


class Tried:
    """Loads whose pools are made here; `limits`: whether each of them is at its limit."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *limits: bool,
        free: float = 2.0,
        cores: int = 8,
        asked: RunOptions | None = None,
    ) -> None:
        monkeypatch.setattr(loading, "most_workers", lambda *_: cores)
        moments = itertools.count()
        monkeypatch.setattr(loading, "time", SimpleNamespace(monotonic=lambda: next(moments)))
        idle = itertools.count(0.0, free)
        monkeypatch.setattr(loading, "_idle_seconds", lambda _: next(idle) * 1.0)
        self.journal = FakeJournal()
        self.pools: list[FakePool] = []
        self.options = asked or options()
        self.loads = Loads(self.options, cast(Journal, self.journal), cast(Loop, FakeLoop()))
        verdicts = iter(limits)

        def start(_: LoadPlan, workers: int) -> LoadPool:
            self.pools.append(FakePool(workers, next(verdicts, False)))
            return cast(LoadPool, self.pools[-1])

        monkeypatch.setattr(self.loads, "start", start)

    def open(self) -> FakePool:
        plan = self.loads._plan(1.0, 5.0, 3.0)
        return cast(FakePool, self.loads._opened(plan, lambda: "standing"))


def test_one_worker_is_enough_until_it_is_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Tried(monkeypatch, False)
    pool = tried.open()
    assert [each.workers for each in tried.pools] == [1]
    assert pool.commands == [b"trial"]
    assert tried.journal.said == [
        ("connect", "64 of 64 connections"),
        ("trial", "1 load worker: enough"),
    ]


def test_workers_are_doubled_while_they_are_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Tried(monkeypatch, True, True, False)
    pool = tried.open()
    assert [each.workers for each in tried.pools] == [1, 2, 4]
    assert [each.commands for each in tried.pools] == [
        [b"trial", b"quit"],
        [b"trial", b"quit"],
        [b"trial"],
    ]
    assert [each.closed for each in tried.pools] == [True, True, False]
    assert pool is tried.pools[-1]
    said = [words for name, words in tried.journal.said if name == "trial"]
    assert said[0] == "1 load worker: at the limit, and cores are free: more workers"
    assert said[-1] == "4 load workers: enough"


def test_no_more_workers_than_are_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step is no trial: there is nothing to decide any more."""
    tried = Tried(monkeypatch, True, True, cores=3)
    pool = tried.open()
    assert [each.workers for each in tried.pools] == [1, 2, 3]
    assert pool.commands == []


@pytest.mark.parametrize(("free", "workers"), [(FREE_CORES - 0.01, [1]), (FREE_CORES, [1, 2])])
def test_workers_are_no_use_without_a_free_core(
    monkeypatch: pytest.MonkeyPatch, free: float, workers: list[int]
) -> None:
    tried = Tried(monkeypatch, True, False, free=free)
    tried.open()
    assert [each.workers for each in tried.pools] == workers
    if workers == [1]:
        assert tried.journal.said[-1][1] == "1 load worker: at the limit, but no core is free"


def test_as_many_workers_as_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Tried(monkeypatch, True, asked=options(load_workers=3))
    pool = tried.open()
    assert (pool.workers, pool.commands) == (3, [])


def test_a_ramp_is_not_tried_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Tried(monkeypatch, True, asked=options(make_scenario(ramp_s=2.0)))
    assert tried.open().commands == []
    assert tried.journal.said == [("connect", "opened during the load, over 2 s")]


def test_uploads_begin_with_a_wave(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Tried(monkeypatch, False, asked=options(UPLOADS))
    assert tried.open().commands == [b"wave", b"trial"]
    assert ("wave", "64 of 64 bodies in flight; standing") in tried.journal.said


def test_slow_uploads_are_no_wave(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = make_scenario(templates=UPLOADS.templates, send_rate=1e6)
    tried = Tried(monkeypatch, False, asked=options(slow))
    assert tried.open().commands == [b"trial"]


def test_the_number_of_workers_stays_for_the_load_that_is_profiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = Tried(monkeypatch, True, False)
    tried.open()
    tried.loads.again(0.5, 3.0)
    assert [each.workers for each in tried.pools] == [1, 2, 2]


# -- the plan ------------------------------------------------------------------------------------


def test_the_plan_of_a_load(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Tried(monkeypatch, asked=options(connections=60_000))
    sources = ("127.0.0.2", "127.0.0.3")
    monkeypatch.setattr(loading.host_room, "sources", lambda *_: (sources, 30_000))
    plan = tried.loads._plan(1.5, 5.0, 3.0)
    assert (plan.sources, plan.per_source) == (sources, 30_000)
    assert (plan.total_connections, plan.first, plan.step) == (60_000, 0, 1)
    assert (plan.warmup_s, plan.duration_s, plan.drain_s) == (1.5, 5.0, 3.0)
    # A backlog of ordinary size takes tens of thousands only bit by bit.
    assert plan.connect_s == 30.0
    assert plan.spin_probe


def test_only_what_our_engine_speaks_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch, installed: set[str]
) -> None:
    installed.add("h2load")
    assert Tried(monkeypatch).loads.repeatable
    assert not Tried(monkeypatch, asked=options(H2)).loads.repeatable
