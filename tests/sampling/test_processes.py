"""The processes of a tree that come, fork, get lost and go, without any process."""

from __future__ import annotations

import msgspec
import pytest

from diagnose.model.samples import ProcessSample, ThreadSample
from diagnose.sampling import processes as module
from diagnose.sampling.process import Asked
from diagnose.sampling.processes import PSS_S, TREE_S, WALK_S, ProcessTable

SAMPLE = ProcessSample(7, 1, "x", 0, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0, ())
ROOT = 1


class World:
    """The host: its tree, what was forked, and what its processes were asked for."""

    def __init__(self) -> None:
        self.tree: list[int] = []
        self.alive: set[int] = set()
        self.threads = 1
        self.walks = 0
        self.asked: list[tuple[int, Asked, int]] = []
        self.opened: set[int] = set()
        self.marked: list[int] = []
        self.listening = True
        self.heard: list[tuple[int, int]] = []
        self.lost = False
        self.pss_cost = 0.0
        self.clock = 0.0

    def put(self, *pids: int) -> None:
        """These live in the tree."""
        self.tree += pids
        self.alive.update(pids)

    def descendants(self, root: int) -> list[int]:
        """In place of the walk over /proc."""
        assert root == ROOT
        self.walks += 1
        return list(self.tree)

    def thread_time(self) -> float:
        """CPU seconds used so far."""
        return self.clock


class FakeReader:
    """In place of a ProcessReader."""

    world: World

    def __init__(self, pid: int) -> None:
        if pid not in self.world.alive:
            raise ProcessLookupError(pid)
        self.pid = pid
        self.unread_threads = 0
        self.world.opened.add(pid)

    def read(self, now: float, asked: Asked, pss: int) -> ProcessSample:
        """The process, or its end."""
        self.world.asked.append((self.pid, asked, pss))
        if self.pid not in self.world.alive:
            raise ProcessLookupError(self.pid)
        thread = ThreadSample(self.pid, "x", "S", 0, 0.0, 0.0, 0.0, 0.0)
        threads = (thread,) * self.world.threads if asked.threads else ()
        return msgspec.structs.replace(SAMPLE, pid=self.pid, threads=threads, pss=pss)

    def read_pss(self) -> int:
        """Takes as long as the world says."""
        self.world.clock += self.world.pss_cost
        return 1000 + self.pid

    def refresh(self) -> None:
        """Noted."""
        self.world.marked.append(self.pid)

    def reset_peak(self, now: float) -> None:
        """Noted with a minus sign."""
        self.world.marked.append(-self.pid)

    def close(self) -> None:
        """Once."""
        self.world.opened.remove(self.pid)


class FakeListener:
    """In place of a ForkListener: the tree's forks only."""

    world: World

    def __init__(self, tree: list[int]) -> None:
        if not self.world.listening:
            raise PermissionError("process connector")
        self.count = 0
        self.settled: list[int] = tree

    @property
    def lost(self) -> bool:
        """Events were lost."""
        return self.world.lost

    def read(self) -> list[int]:
        """Whom the tree has started."""
        born = [child for parent, child in self.world.heard if parent in self.settled]
        self.world.heard.clear()
        self.count += len(born)
        return born

    def settle(self, alive: list[int]) -> None:
        """The members."""
        self.settled = list(alive)

    def close(self) -> None:
        """Nothing to do."""


@pytest.fixture(name="world")
def world_fixture(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(FakeReader, "world", world, raising=False)
    monkeypatch.setattr(FakeListener, "world", world, raising=False)
    monkeypatch.setattr(module, "ProcessReader", FakeReader)
    monkeypatch.setattr(module, "ForkListener", FakeListener)
    monkeypatch.setattr(module, "descendants", world.descendants)
    monkeypatch.setattr(module.time, "thread_time", world.thread_time)
    return world


def table(world: World, include_root: bool = False) -> ProcessTable:
    """Twenty samples a second of the tree below ROOT."""
    return ProcessTable(ROOT, include_root, 0.05)


def pids(samples: list[ProcessSample]) -> list[int]:
    """Who was read."""
    return [sample.pid for sample in samples]


def test_the_tree_and_its_root_where_asked_for(world: World) -> None:
    world.put(7, 8)
    assert pids(table(world).read(0.0, 100)) == [7, 8]
    world.alive.add(ROOT)
    assert pids(table(world, include_root=True).read(0.0, 100)) == [7, 8, 1]


def test_the_tree_is_not_walked_again_while_nothing_was_started(world: World) -> None:
    world.put(7)
    tree = table(world)
    for turn in range(20):
        tree.read(turn * 0.05, 100)
    assert world.walks == 1
    tree.read(WALK_S, 100)
    assert world.walks == 2


def test_who_forks_is_found_without_a_walk(world: World) -> None:
    world.put(7)
    tree = table(world)
    tree.read(0.0, 100)
    world.alive.add(9)
    world.heard = [(7, 9), (5, 6), (7, 10)]
    seen = [pids(tree.read(turn * 0.05, 103)) for turn in range(1, 7)]
    assert seen[-1] == [7, 9]
    assert world.walks == 1
    assert (tree.forks, tree.forks_at_least) == (2, False)


def test_a_tree_that_was_not_there_at_first(world: World) -> None:
    tree = table(world)
    assert tree.read(0.0, 100) == []
    world.put(7)
    assert pids(tree.read(TREE_S, 100)) == [7]


def test_without_the_connector_new_processes_are_looked_for(world: World) -> None:
    world.listening = False
    world.put(7)
    tree = table(world)
    tree.read(0.0, 100)
    assert (tree.forks, tree.forks_at_least) == (0, True)
    world.put(9)
    assert pids(tree.read(TREE_S, 101)) == [7, 9]
    assert (tree.forks, tree.forks_at_least) == (1, True)
    walks = world.walks
    tree.read(2 * TREE_S, 101)
    assert world.walks == walks
    assert any(remark.startswith("forks: only") for remark in tree.remarks())


def test_where_the_host_does_not_count_its_forks(world: World) -> None:
    world.listening = False
    world.put(7)
    tree = table(world)
    for turn in range(11):
        tree.read(turn * 0.05, -1)
    assert world.walks == 3


def test_one_that_ends_is_named_once(world: World) -> None:
    world.put(7, 8)
    tree = table(world)
    tree.read(0.0, 100)
    world.alive.remove(8)
    assert pids(tree.read(0.05, 100)) == [7]
    assert tree.gone == [8]
    assert pids(tree.read(0.1, 100)) == [7]
    assert tree.gone == []
    assert world.opened == {7}


def test_a_zombie_is_not_found_again(world: World) -> None:
    """It stays in the tree until its parent has waited for it, and can be opened."""
    world.put(7, 8)
    tree = table(world)
    tree.read(0.0, 100)
    world.alive.remove(8)
    tree.read(0.05, 100)
    world.alive.add(8)
    assert pids(tree.read(WALK_S, 100)) == [7]
    world.tree.remove(8)
    tree.read(2 * WALK_S, 100)
    world.tree.append(8)
    assert pids(tree.read(3 * WALK_S, 100)) == [7, 8]


def threads_read(world: World) -> list[bool]:
    """For each read since the last call: were the threads asked for?"""
    asked = [asked.threads for _, asked, _ in world.asked]
    world.asked.clear()
    return asked


def test_few_threads_are_read_every_time(world: World) -> None:
    world.put(7)
    tree = table(world)
    for turn in range(10):
        tree.read(turn * 0.05, 100)
    assert threads_read(world) == [True] * 10


def test_many_threads_are_read_as_their_cost_allows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(7)
    world.threads = 512
    tree = table(world)
    read = FakeReader.read

    def costly(self: FakeReader, now: float, asked: Asked, pss: int) -> ProcessSample:
        world.clock += 0.007 if asked.threads else 0.0
        return read(self, now, asked, pss)

    monkeypatch.setattr(FakeReader, "read", costly)
    for turn in range(400):
        tree.read(turn * 0.05, 100)
    assert sum(threads_read(world)) == pytest.approx(20, abs=2)
    (lowered,) = [each for each in tree.lowered() if each is not None and each.what == "threads"]
    assert lowered.rate_hz == pytest.approx(1.0, rel=0.1)


def test_pss_of_one_process_after_the_other(world: World) -> None:
    world.put(7, 8)
    tree = table(world)
    told: list[tuple[int, int]] = []
    for turn in range(4):
        samples = tree.read(turn * PSS_S, 100)
        told += [(sample.pid, sample.pss) for sample in samples if sample.pss >= 0]
    assert sorted(told) == [(7, 1007), (7, 1007), (8, 1008), (8, 1008)]


def test_pss_that_holds_a_process_up_is_not_read_again(world: World) -> None:
    world.put(7)
    world.pss_cost = 0.046
    tree = table(world)
    for turn in range(200):
        tree.read(turn * 0.05, 100)
    assert [pss for _, _, pss in world.asked if pss >= 0] == [1007]
    assert tree.remarks() == [
        "PSS of 1 process was not read again: one reading of PID 7 held it up for 46 ms"
    ]


def test_a_mark_makes_everything_due(world: World) -> None:
    world.put(7)
    world.threads = 512
    tree = table(world)
    tree.read(0.0, 100)
    tree.read(0.01, 100)
    assert threads_read(world) == [True, False]
    tree.mark()
    tree.read(0.02, 100)
    assert threads_read(world) == [True]
    assert world.marked == [7]
    tree.reset_peaks(0.03)
    assert world.marked == [7, -7]


def test_events_that_were_lost_are_told(world: World) -> None:
    world.put(7)
    tree = table(world)
    tree.read(0.0, 100)
    world.lost = True
    tree.read(0.05, 101)
    assert tree.forks_at_least
    assert tree.remarks() == ["forks: some were lost, the host started too many at once"]


def test_nothing_stays_open(world: World) -> None:
    world.put(7, 8)
    tree = table(world)
    tree.read(0.0, 100)
    assert world.opened == {7, 8}
    tree.close()
    assert world.opened == set()
