"""Every place where threads slept, and what a flame graph of them shows."""

from __future__ import annotations

from diagnose.analysis.thread_time import Place
from diagnose.analysis.wait_table import HELD_UP, RESTING, drawn, wait_table
from tests.builders import make_profile, make_waits

LOCKED = (
    "pool-{};app (/srv/app.py:4);locked (/srv/app.py:9);"
    "__enter__ (/usr/lib/python3/lock.py:3);futex_do_wait"
)
REST = "pool-3;[at rest];app (/srv/app.py:4);futex_do_wait"
SLEEP = "main;app (/srv/app.py:4);hrtimer_nanosleep"
KERNEL = "entry_SYSCALL_64_after_hwframe;do_syscall_64;{};schedule"
MUTEX = "srv;main;work;__lll_lock_wait;" + KERNEL.format("futex_do_wait")
EPOLL = "srv;main;loop;epoll_wait;" + KERNEL.format("ep_poll")


def test_threads_of_a_pool_and_alike_processes_share_a_row() -> None:
    waits = [
        make_waits({LOCKED.format(1): 30, LOCKED.format(2): 30}, pid=1),
        make_waits({LOCKED.format(1): 20}, pid=2),
    ]
    table = wait_table(waits)
    assert table is not None
    (row,) = table.rows
    assert (row.thread, row.place, row.processes) == ("pool", Place.LOCK, 2)
    assert (row.at, row.inner) == ("locked (app.py:9)", "__enter__ (lock.py:3)")
    assert row.at_once == 4.0


def test_threads_with_nothing_to_do_are_counted_apart() -> None:
    table = wait_table([make_waits({SLEEP: 10, REST: 50})])
    assert table is not None
    assert [row.place for row in table.rows] == [Place.SLEEP]
    assert table.resting == 2.5


def test_rare_places_are_summed_up() -> None:
    many = {f"t;f{n} (/srv/app.py:{n});hrtimer_nanosleep": 10 for n in range(1, 16)}
    table = wait_table([make_waits({**many, "t;g (/srv/app.py:99);do_wait": 1}, looks=100)])
    assert table is not None
    assert len(table.rows) == 12
    assert round(table.left_out, 2) == 0.31


def test_the_scheduler_tells_where_nobody_looked() -> None:
    switches = make_waits(
        {MUTEX: 1_500_000, EPOLL: 500_000}, unit="us", runtime="native", seconds=0.5
    )
    table = wait_table([switches])
    assert table is not None
    (row,) = table.rows
    assert (row.at, row.place, row.at_once) == ("work", Place.LOCK, 3.0)
    assert table.resting == 1.0
    # Of one process the looks count: they name the program's functions.
    both = wait_table([switches, make_waits({SLEEP: 20}), make_waits({MUTEX: 9}, unit="us")])
    assert both is not None
    assert [row.place for row in both.rows] == [Place.SLEEP]


def test_without_looks_there_is_no_table() -> None:
    assert wait_table([]) is None
    once, held = make_waits({SLEEP: 1}, looks=1), make_waits({"t;f": 9}, kind="lock")
    assert wait_table([once, held]) is None


def test_a_flame_graph_parts_those_that_rest_from_those_that_are_held_up() -> None:
    looked = drawn(make_waits({SLEEP: 10, REST: 5}))
    assert looked.stacks == (
        ((HELD_UP, "main", "app (/srv/app.py:4)", "hrtimer_nanosleep_[k]"), 10),
        ((RESTING, "pool", "app (/srv/app.py:4)", "futex_do_wait_[k]"), 5),
    )
    ((stack, _),) = drawn(make_waits({MUTEX: 10}, unit="us")).stacks
    assert stack[:5] == (HELD_UP, "srv", "main", "work", "__lll_lock_wait")
    assert all(frame.endswith("_[k]") for frame in stack[5:])
    assert len(stack) == 9
    taken = make_profile()
    assert drawn(taken) is taken
