"""Looks at the stacks of sleeping threads, and what is made of them."""

from __future__ import annotations

from diagnose.profilers.off_cpu.dumped import Dumped, Look, fold_holders, fold_waits

WAITING = Dumped(11, "worker", ("main (app.py:1)", "locked (app.py:9)"))
RUNNING = Dumped(12, "worker", ("main (app.py:1)", "work (app.py:20)"), holds_lock=True)
FUTEX = "futex_wait_queue"


def look(before: dict[int, str], after: dict[int, str] | None = None) -> Look:
    return Look((WAITING, RUNNING), before, before if after is None else after)


def test_only_threads_that_slept_on_either_side_of_the_look_count() -> None:
    looks = [
        look({11: FUTEX, 12: ""}),
        look({11: FUTEX}, {11: ""}),
        look({11: FUTEX}, {11: "ep_poll"}),
        look({11: "", 12: ""}),
    ]
    folded, number = fold_waits(looks, [])
    assert folded == f"worker;main (app.py:1);locked (app.py:9);{FUTEX} 1\n"
    assert number == 4


def test_a_stack_that_was_seen_without_load_is_marked() -> None:
    folded, _ = fold_waits([look({11: FUTEX})], [look({11: FUTEX})])
    assert folded == f"worker;[at rest];main (app.py:1);locked (app.py:9);{FUTEX} 1\n"
    folded, _ = fold_waits([look({11: FUTEX})], [look({11: "ep_poll"})])
    assert "[at rest]" not in folded


def test_holders_of_the_interpreters_lock() -> None:
    folded, number = fold_holders([look({}), look({})])
    assert folded == "worker;main (app.py:1);work (app.py:20) 2\n"
    assert number == 2


def test_a_frame_cannot_forge_another() -> None:
    odd = Dumped(11, "a;b", ("f;g (x.py:1)", "two\nlines 7"))
    folded, _ = fold_waits([Look((odd,), {11: FUTEX}, {11: FUTEX})], [])
    assert folded == f"a:b;f:g (x.py:1);two lines 7;{FUTEX} 1\n"
