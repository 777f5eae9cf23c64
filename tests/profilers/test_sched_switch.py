"""perf's scheduler events as off-CPU time."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnose.profilers.off_cpu import sched_switch

DATA = Path(__file__).parents[1] / "data" / "profilers"

SLEEP = """\
server 10/11 100.000000: sched:sched_switch: prev_comm=server prev_pid=11 prev_state=S ==> next_pid=0
\tffffffff81 futex_wait ([kernel.kallsyms])
\t      85f16 __lll_lock_wait (/usr/lib/libc.so.6)
\t       1234 handle(int, char const*)+0x10 (/srv/server)

server 10/11 100.250000: PERF_RECORD_SWITCH IN
"""  # noqa: E501


def test_a_sleep_lasts_until_the_thread_is_back_on_a_core() -> None:
    (waits,) = sched_switch.fold(SLEEP).values()
    stack = "server;handle(int, char const*);__lll_lock_wait;futex_wait"
    assert waits == sched_switch.Waits(f"{stack} 250000\n", 1, 0)


def test_a_core_that_is_lost_to_another_thread_is_no_sleep() -> None:
    assert sched_switch.fold(SLEEP.replace("prev_state=S", "prev_state=R")) == {}


def test_what_still_sleeps_at_the_end_counts_until_then() -> None:
    text = SLEEP.replace("10/11 100.250000: PERF_RECORD_SWITCH IN", "10/12 101.0: other: x")
    (waits,) = sched_switch.fold(text).values()
    assert waits.unended == 1
    assert waits.folded.endswith(" 1000000\n")


def test_a_recording_of_perf() -> None:
    text = (DATA / "sched_switch.txt").read_text()
    by_process = sched_switch.fold(text)
    assert set(by_process) == {25692}
    waits = by_process[25692]
    assert waits.sleeps > 10
    lines = waits.folded.splitlines()
    assert any("take_gil" in line for line in lines)
    assert all(int(line.rpartition(" ")[2]) > 0 for line in lines)


@pytest.mark.parametrize("cut", [1, 200, 3001, 20_000])
def test_a_recording_that_was_cut_off_is_read_as_far_as_it_goes(cut: int) -> None:
    text = (DATA / "sched_switch.txt").read_text()
    for waits in sched_switch.fold(text[:-cut]).values():
        assert waits.sleeps >= 0
    assert sched_switch.fold("") == {}
    assert sched_switch.fold("Failed to open\n") == {}


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("Permission error - are you root?", "perf_event_paranoid"),
        ("Couldn't create thread/CPU maps: No such process", "was gone"),
        ("", "it said nothing"),
        ("something new", "something new"),
    ],
)
def test_a_remedy_for_each_failure(said: str, wanted: str) -> None:
    assert wanted in sched_switch.remedy(said)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sched_switch.shutil, "which", lambda _: None)
    assert "linux-perf" in sched_switch.available()
