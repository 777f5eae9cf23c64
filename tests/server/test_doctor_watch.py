"""Other load between two moments: whose it is, and what is left without a name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diagnose.server.doctor.facts import Busy
from diagnose.server.doctor.watch import Moment, between, moment

HZ = os.sysconf("SC_CLK_TCK")


def at(t: float, busy: float, stolen: float = 0.0, swapped: int | None = 0, **cpu: float) -> Moment:
    """A moment; processes as `name_pid=seconds`."""
    processes = {}
    for key, seconds in cpu.items():
        name, _, pid = key.rpartition("_")
        processes[int(pid)] = (name, seconds)
    return Moment(t, busy, stolen, swapped, processes)


class TestBetween:
    """The difference of two moments."""

    def test_our_own_work_is_not_foreign(self) -> None:
        before = at(10.0, 100.0, us_1=5.0, worker_2=1.0, other_3=7.0)
        after = at(12.0, 103.0, us_1=6.0, worker_2=1.5, other_3=8.4)
        seen = between(before, after, {1, 2})
        assert seen.seconds == 2.0
        assert seen.foreign == pytest.approx(0.75)
        assert [(busy.name, busy.pid) for busy in seen.busiest] == [("other", 3)]
        assert seen.busiest[0].cores == pytest.approx(0.7)

    def test_the_busiest_come_first_and_are_few(self) -> None:
        after = at(1.0, 6.0, 0.0, 0, **{f"p_{pid}": pid / 10 for pid in range(1, 9)})
        seen = between(at(0.0, 0.0), after, ())
        assert [busy.pid for busy in seen.busiest] == [8, 7, 6, 5, 4]

    def test_an_idle_process_has_no_name(self) -> None:
        seen = between(at(0.0, 0.0, idle_5=3.0), at(1.0, 0.01, idle_5=3.01), ())
        assert seen.busiest == ()

    def test_a_process_that_was_born_meanwhile_counts(self) -> None:
        seen = between(at(0.0, 0.0), at(1.0, 0.5, new_9=0.5), ())
        assert seen.busiest == (Busy("new", 9, 0.5),)

    def test_a_process_that_ended_has_no_name_but_counts(self) -> None:
        seen = between(at(0.0, 0.0, old_9=4.0), at(1.0, 0.5), ())
        assert (seen.foreign, seen.busiest) == (0.5, ())

    def test_ticks_that_do_not_match_are_not_below_nothing(self) -> None:
        seen = between(at(0.0, 5.0, us_1=0.0), at(1.0, 5.3, us_1=0.31), {1})
        assert seen.foreign == 0.0

    def test_steal_and_swap(self) -> None:
        seen = between(at(0.0, 0.0, 1.0, 40), at(2.0, 0.0, 2.0, 47), ())
        assert (seen.stolen, seen.swapped) == (0.5, 7)

    @pytest.mark.parametrize(("first", "second"), [(None, 7), (7, None), (None, None)])
    def test_swap_that_is_not_told(self, first: int | None, second: int | None) -> None:
        assert between(at(0.0, 0.0, 0.0, first), at(1.0, 0.0, 0.0, second), ()).swapped is None


STAT = f"cpu  {5 * HZ} {HZ} {2 * HZ} 900 50 {HZ} {HZ} {3 * HZ} 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n"


def process(name: str, user: int, system: int) -> str:
    """A stat file of a process, as far as it is read."""
    return f"7 ({name}) S 1 7 7 0 -1 4194560 1 2 3 4 {user} {system} 0 0 20 0 1 0 55 0 0\n"


class TestMoment:
    """What is read of /proc."""

    def test_of_a_host(self, tmp_path: Path) -> None:
        (tmp_path / "stat").write_text(STAT)
        (tmp_path / "vmstat").write_text("nr_free_pages 5\npswpin 3\npswpout 4\n")
        for pid, content in {
            "7": process("a b) (c", HZ, 2 * HZ),
            "8": "",
            "9": "9 (cut off",
            "self": process("self", 1, 1),
        }.items():
            (tmp_path / pid).mkdir()
            (tmp_path / pid / "stat").write_text(content)
        (tmp_path / "10").mkdir()
        assert moment(tmp_path, 4.5) == Moment(4.5, 10.0, 3.0, 7, {7: ("a b) (c", 3.0)})

    @pytest.mark.parametrize("content", ["", "cpu 1 2 3\n", "cpu a b c d e f g h\n", "cpu0 1 2\n"])
    def test_of_a_host_that_does_not_tell(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "stat").write_text(content)
        assert moment(tmp_path, 0.0) is None

    def test_of_no_host(self, tmp_path: Path) -> None:
        assert moment(tmp_path / "none", 0.0) is None
